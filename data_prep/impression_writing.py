"""Impressions as a file of a dataset, with their facts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.facts import context_facts, learned, rows_or_numbers
from data_prep.impression_table import ImpressionTable
from data_prep.log import Column
from data_prep.moments import Moments
from data_prep.splits import TEST, TRAIN, VAL
from data_prep.vocabularies import TrainValues, value_counts
from tfrec.schema import FIRST_ROW, IMPRESSIONS_FILE, UNKNOWN_ROW, ImpressionFacts, Statistic, Value


def write_impressions(
    table: ImpressionTable, items: pd.Index, codes: pd.Index, folder: Path
) -> tuple[ImpressionFacts, dict[str, pd.Index]]:
    """Writes `impressions.parquet`, and returns its facts and the values of categorical context columns.

    Args:
        table: of I impressions.
        items: raw ids of the catalogue, in row order.
        codes: raw ids of the log, in the order of the table's codes.
        folder: of the dataset.
    """
    impressions, heads = table.impressions, table.impressions.heads
    train = table.role == TRAIN
    places = pa.array(impressions.offsets.astype(np.int32))
    contexts = learned(
        {
            name: value_counts(values, train) if isinstance(values, Column) else Moments.of(values[train])
            for name, values in heads.context.items()
        }
    )
    columns = {
        "impression_id": pa.array(heads.id.values[heads.id.codes]),
        "user_id": pa.array(heads.user.values[heads.user.codes]),
        "time": pa.array(heads.time),
        "role": pa.array(table.role),
        "item": pa.ListArray.from_arrays(places, pa.array(_rows(table.item, items, codes))),
    }
    told = {"label": impressions.labels, "value": impressions.values, "statistic": table.statistics}
    for prefix, lists in told.items():
        for name, values in lists.items():
            columns[f"{prefix}.{name}"] = pa.ListArray.from_arrays(places, pa.array(values))
    if heads.session is not None:
        columns["session"] = pa.array(heads.session)
    if impressions.stands_for is not None:
        columns["stands_for"] = pa.ListArray.from_arrays(places, pa.array(impressions.stands_for))
    for name, column in heads.context.items():
        columns[f"context.{name}"] = pa.array(rows_or_numbers(column, contexts[name]))
    pq.write_table(pa.table(columns), folder / IMPRESSIONS_FILE, compression="zstd")
    shown_in_train = train[impressions.of_candidate]
    facts = ImpressionFacts(
        labels=tuple(impressions.labels),
        values=tuple(_value(name, v[shown_in_train]) for name, v in impressions.values.items()),
        context=context_facts(contexts),
        statistics=tuple(_statistic(name, v[shown_in_train]) for name, v in table.statistics.items()),
        train=int(train.sum()),
        val=int((table.role == VAL).sum()),
        test=int((table.role == TEST).sum()),
        candidates=len(table.item),
        sampled=impressions.stands_for is not None,
    )
    categories = {name: v.values for name, v in contexts.items() if isinstance(v, TrainValues)}
    return facts, categories


def _rows(item: np.ndarray, items: pd.Index, codes: pd.Index) -> np.ndarray:
    """[N] int32 rows of the vocabulary; UNKNOWN_ROW for items that it has not."""
    place = items.get_indexer(codes)
    of_code = np.where(place < 0, UNKNOWN_ROW, place + FIRST_ROW).astype(np.int32)
    return np.append(of_code, np.int32(UNKNOWN_ROW))[np.minimum(item, len(codes))]


def _value(name: str, values: np.ndarray) -> Value:
    known = values[np.isfinite(values)].astype(np.float64)
    mean, std = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
    return Value(name=name, mean=mean, std=std if std > 0 else 1.0)


def _statistic(name: str, values: np.ndarray) -> Statistic:
    logs = np.log1p(values[np.isfinite(values)].astype(np.float64))
    mean, std = (float(logs.mean()), float(logs.std())) if len(logs) else (0.0, 0.0)
    lacks = len(logs) < len(values)
    return Statistic(name=name, mean=mean, std=std if std > 0 else 1.0, lacks=lacks)
