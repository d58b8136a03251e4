"""RetailRocket: events.csv of a shop (timestamp in ms, visitorid, event, itemid), and item properties.

The properties are a log too, 20 million rows of (timestamp, itemid, property, value) in two files; of
them the newest `categoryid` of each item is a feature. The other properties are hashed words.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from data_prep.files import LogFile, log_files
from data_prep.items import ItemTable
from data_prep.logs import columns_of
from data_prep.options import PrepareOptions
from data_prep.sources.base import Source
from tfrec.errors import DataError

EVENTS = "events.csv"
PROPERTIES = "item_properties*.csv*"
CATEGORY = "categoryid"


def files(paths: Sequence[Path], options: PrepareOptions) -> list[LogFile]:
    """Returns the events."""
    return log_files([_events(Path(path)) for path in paths], columns_of(options))


def items(paths: Sequence[Path]) -> ItemTable | None:
    """Reads the properties of items, where they lie beside the events."""
    events = [_events(Path(path)) for path in paths]
    beside = sorted(file for path in events for file in path.parent.glob(PROPERTIES))
    return _categories(beside) if beside else None


def _events(path: Path) -> Path:
    """The events in a folder, which holds other files as well."""
    if not path.is_dir():
        return path
    found = [path / name for name in (EVENTS, f"{EVENTS}.gz") if (path / name).is_file()]
    if not found:
        raise DataError(f"{path} holds no {EVENTS}")
    return found[0]


def _categories(files: Sequence[Path]) -> ItemTable:
    """The newest category of each item; the files are read piece by piece, since they are large."""
    rows = pa.concat_tables([_category_rows(path) for path in files]).to_pandas()
    newest = rows.sort_values("timestamp", kind="stable").drop_duplicates("itemid", keep="last")
    frame = pd.DataFrame({"item_id": newest["itemid"], CATEGORY: newest["value"]})
    return ItemTable(frame, {CATEGORY: "categorical"})


def _category_rows(path: Path) -> pa.Table:
    types = {"timestamp": pa.int64(), "itemid": pa.int64(), "property": pa.string(), "value": pa.string()}
    try:
        pieces = pa_csv.open_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
        chosen = [piece.filter(pc.equal(piece["property"], CATEGORY)) for piece in pieces]
        return pa.Table.from_batches(chosen, pieces.schema).select(["timestamp", "itemid", "value"])
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{path} cannot be read as properties of items: {error}") from error


SOURCE = Source(
    "RetailRocket's events.csv: views, carts, purchases; or its folder, with the categories of items",
    files,
    items,
    PrepareOptions(
        user="visitorid", item="itemid", time="timestamp", event="event", time_unit="ms", split="global_time"
    ),
)
