"""A log of any length with the statistics of Complete Journey: its households many times, by time.

Each event stands in as many copies as the length asks for. A copy of a household has an id of its own, buys
its baskets up to three hours earlier or later, and a tenth of the goods in them are others, drawn from what
all households buy in that part of the year. So lengths of histories, sizes of baskets, gaps, repeats,
popularity and its change over the year are as in the real log; users grow with the log, items do not.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.sources.completejourney import TRANSACTIONS, data_folder

COLUMNS = ("household_id", "product_id", "transaction_timestamp", "basket_id")
ROWS_AT_ONCE = 1_000_000
EVENTS_A_FILE = 10_000_000
SHIFT_S = 3 * 3600
OTHERS = 0.1


def write_log(events: int, folder: Path, seed: int = 0) -> None:
    """Writes about so many events, a multiple of the real log's, as Parquet files.

    Args:
        events: how many.
        folder: a new folder.
        seed: of what is drawn.
    """
    folder.mkdir()
    writer, written = None, 0
    for table in _slices(events, np.random.default_rng(seed)):
        if writer is None or written >= EVENTS_A_FILE:
            if writer is not None:
                writer.close()
            number = len(list(folder.iterdir()))
            writer, written = pq.ParquetWriter(folder / f"{number:04d}.parquet", table.schema), 0
        writer.write_table(table)
        written += table.num_rows
    if writer is not None:
        writer.close()


def _slices(events: int, rng: np.random.Generator) -> Iterator[pa.Table]:
    """The log in pieces of the year, each with the events of all copies."""
    raw = pq.read_table(data_folder() / TRANSACTIONS, columns=list(COLUMNS))
    numbered = {name: np.unique(raw[name].to_numpy(), return_inverse=True)[1] for name in COLUMNS}
    user, item, basket = (numbered[COLUMNS[at]] for at in (0, 1, 3))
    time = raw[COLUMNS[2]].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy()
    order = np.argsort(time, kind="stable")
    copies = -(-events // len(order))
    left = events - (copies - 1) * len(order)
    # The last copy has so many of the households as make up what is left.
    lasts = np.searchsorted(np.cumsum(np.bincount(user)), left)
    step = max(1, ROWS_AT_ONCE // copies)
    for begin in range(0, len(order), step):
        here = order[begin : begin + step]
        some = here[user[here] <= lasts]
        at = np.concatenate([np.tile(here, copies - 1), some])
        copy = np.repeat(np.arange(copies), [len(here)] * (copies - 1) + [len(some)])
        own_basket = basket[at].astype(np.int64) * copies + copy
        shift = own_basket * 2654435761 % (2 * SHIFT_S + 1) - SHIFT_S  # one for a basket
        goods = item[at]
        other = rng.random(len(at)) < OTHERS
        goods[other] = rng.choice(goods, int(other.sum()))
        sold = time[at] + shift
        by_time = np.argsort(sold, kind="stable")
        columns = (user[at].astype(np.int64) * copies + copy, goods, sold, own_basket)
        yield pa.table(dict(zip(COLUMNS, (column[by_time] for column in columns), strict=True)))
