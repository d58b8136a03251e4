"""Impressions of a dataset folder, and in the rows of a model that knows another cut of the log."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tfrec.shown import shown_to
from tests.tfrec.test_ranking_evaluation import shop
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.impressions import Impressions
from tfrec.schema import IMPRESSIONS_FILE, UNKNOWN_ROW, Statistic
from tfrec.vocabulary import Vocabulary


def test_what_cannot_be_read_is_said(tmp_path: Path, rich_dataset: Callable[..., Dataset]) -> None:
    with pytest.raises(DataError, match=r"has no impressions\. Prepare its log again, with --impressions"):
        Impressions.load(tmp_path, rich_dataset())
    folder = shop(tmp_path)
    dataset, path = Dataset.load(folder), folder / IMPRESSIONS_FILE
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["label.click"]), path)
    with pytest.raises(DataError, match=r"impressions.parquet cannot be read: .*label.click"):
        Impressions.load(folder, dataset)
    column = table.schema.get_field_index("label.click")
    short = table["label.click"].combine_chunks().take([0] * len(table)).to_pylist()
    pq.write_table(table.set_column(column, "label.click", [[one[:2] for one in short]]), path)
    with pytest.raises(DataError, match=r"lists of 'label.click' are not as long as those of 'item'"):
        Impressions.load(folder, dataset)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        Impressions.load(folder, dataset)


def test_taken_impressions_keep_what_is_theirs(rich_dataset: Callable[..., Dataset]) -> None:
    _, impressions = shown_to(rich_dataset())
    two = impressions.take(np.array([7, 2]))
    for place, number in enumerate((7, 2)):
        own = slice(impressions.offsets[number], impressions.offsets[number + 1])
        taken = slice(two.offsets[place], two.offsets[place + 1])
        assert two.time[place] == impressions.time[number]
        np.testing.assert_array_equal(two.item[taken], impressions.item[own])
        np.testing.assert_array_equal(two.labels["click"][taken], impressions.labels["click"][own])


def test_rows_become_those_of_the_model(rich_dataset: Callable[..., Dataset]) -> None:
    """Another order of items and of context values, and items that the model does not know."""
    own, impressions = shown_to(rich_dataset())
    own = replace(own, impression_context={"device": Vocabulary(["phone", "desktop"])})
    values = own.items.values[::-1]
    other = replace(
        own, items=Vocabulary(values[:-3]), impression_context={"device": Vocabulary(["desktop", "phone"])}
    )
    found = impressions.in_rows_of(own, other)
    known = found.item != UNKNOWN_ROW
    assert (other.items.raw(found.item[known]) == own.items.raw(impressions.item[known])).all()
    assert set(own.items.raw(impressions.item[~known])) == set(values[-3:])
    assert (found.context["device"] == np.array([0, 1, 3, 2])[impressions.context["device"]]).all()


def test_what_the_model_needs_must_be_there(rich_dataset: Callable[..., Dataset]) -> None:
    own, impressions = shown_to(rich_dataset())
    own = replace(own, impression_context={"device": Vocabulary(["phone", "desktop"])})

    def knowing(**facts: object) -> Dataset:
        changed = impressions.facts.model_copy(update=facts)
        return replace(own, schema=own.schema.model_copy(update={"impressions": changed}))

    fewer = impressions.in_rows_of(own, knowing(labels=("buy",), statistics=()))
    assert fewer.facts.labels == ("buy",)
    more = knowing(statistics=(*impressions.facts.statistics, Statistic(name="shown_1h")))
    with pytest.raises(DataError, match=r"trained with shown_1h \(statistic\) among the statistics"):
        impressions.in_rows_of(own, more)
    numeric = (impressions.facts.context[0].model_copy(update={"kind": "numeric"}),)
    with pytest.raises(DataError, match=r"trained with device \(numeric\).*has device \(categorical\)"):
        impressions.in_rows_of(own, knowing(context=numeric))
    plain = replace(own, schema=own.schema.model_copy(update={"impressions": None}))
    with pytest.raises(DataError, match="trained on a dataset without impressions"):
        impressions.in_rows_of(own, plain)
