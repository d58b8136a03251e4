"""What items share, by hand."""

import numpy as np
import pandas as pd
import pytest

from tfrec.schema import ItemFeature
from tfrec.similar_items import similar_items
from tfrec.vocabulary import Vocabulary

FEATURES = (
    ItemFeature(name="colour", kind="categorical", size=4),
    ItemFeature(name="tags", kind="multi", size=5),
    ItemFeature(name="price", kind="numeric"),
)
VOCABULARIES = {
    "colour": Vocabulary(pd.Index(["red", "blue"], dtype=object)),
    "tags": Vocabulary(pd.Index(["a", "b", "c"], dtype=object)),
}


def frame(*items: tuple[str | None, list[str]]) -> pd.DataFrame:
    return pd.DataFrame({"colour": [i[0] for i in items], "tags": [i[1] for i in items], "price": 1.0})


CATALOGUE = frame(("red", ["a"]), ("red", ["b", "c"]), ("blue", ["a"]), (None, []))


def test_rare_values_count_more_and_what_is_unknown_for_nothing() -> None:
    places, likeness = similar_items(
        frame(("red", ["c"]), ("green", ["z"])), CATALOGUE, FEATURES, VOCABULARIES, most=3
    )
    idf = {"red": np.log(5 / 3), "a": np.log(5 / 3), "blue": np.log(5 / 2), "b": np.log(5 / 2)}
    idf["c"] = idf["b"]

    def cosine(one: list[str], other: list[str]) -> float:
        dot = sum(idf[value] ** 2 for value in set(one) & set(other))
        return float(dot / np.prod([np.sqrt(sum(idf[v] ** 2 for v in values)) for values in (one, other)]))

    assert places[0].tolist() == [1, 0, 2]
    expected = [cosine(["red", "c"], ["red", "b", "c"]), cosine(["red", "c"], ["red", "a"]), 0]
    np.testing.assert_allclose(likeness[0], expected, rtol=1e-5)
    assert likeness[1].tolist() == [0, 0, 0]


def test_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    new = frame(("red", ["c"]), ("blue", ["a", "b"]), (None, ["b"]))
    whole = similar_items(new, CATALOGUE, FEATURES, VOCABULARIES)
    monkeypatch.setattr("tfrec.similar_items._CELLS", 1)
    for one, other in zip(whole, similar_items(new, CATALOGUE, FEATURES, VOCABULARIES), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole[0].shape == (3, 4)


def test_numbers_alone_tell_nothing() -> None:
    _, likeness = similar_items(CATALOGUE, CATALOGUE, FEATURES[2:], {})
    assert not likeness.any()
