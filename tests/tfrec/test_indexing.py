"""Indexes of a trained model: its catalogue's embeddings, and items that came since."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_prep.new_items import read_new_items
from tests.tfrec.asking import ask, nothing, requests
from tests.tfrec.made import K, Made
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.index.folder import load_newest
from tfrec.indexing import index_model
from tfrec.new_items import _canonical, _seen, index_new_items
from tfrec.query_embeddings import query_embeddings
from tfrec.schema import FIRST_ROW
from tfrec.similar_items import similar_items
from tfrec.vocabulary import Vocabulary


def add_file(made: Made, out: Path, path: Path) -> Path:
    return index_new_items(made.folder / "model", out, read_new_items(path, made.dataset.schema))


def new_items(**columns: Any) -> pd.DataFrame:
    frame = {"item_id": [900, 901], "colour": ["red", None], "tags": [["a"], []], "price": [3.0, np.nan]}
    return pd.DataFrame(frame | columns)


def test_an_index_and_the_encoder_answer_as_the_servable(made: Made) -> None:
    index_model(made.folder / "model", made.folder / "index", filters=["colour"], quiet=True)
    index = load_newest(made.folder / "index")
    assert (index.info.kind, index.info.columns) == ("exact", ("colour",))
    servable = made.exact
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    encoded = ask(servable, "encode", inputs)
    assert set(encoded["space"].tolist()) == {index.info.space}
    items = len(made.dataset.catalogue)
    assert len(index) == items
    rows, scores = index.search(encoded["query_embedding"], items)
    score = {int(item): value for item, value in zip(index.raw(rows[0], -1), scores[0], strict=True)}
    for kind in ("own", "rule"):
        of_each = zip(encoded[f"{kind}_item_id"][0], encoded[f"{kind}_score"][0], strict=True)
        score |= {int(item): value for item, value in of_each if np.isfinite(value)}
    best = sorted(score, key=lambda item: -score[item])[:K]
    answered = ask(servable, "recommend", inputs, exclude_item_id=nothing(len(positions)))
    assert answered["item_id"][0].tolist() == best
    blue = index.raw(index.having("colour", [b"blue"]).rows, -1)
    assert set(blue.tolist()) == set(made.dataset.catalogue.query("colour == 'blue'")["item_id"])
    counts = made.dataset.catalogue["train_count"].to_numpy()
    assert counts[index.popular(5)].tolist() == sorted(counts, reverse=True)[:5]


def test_recall_is_measured_on_queries_of_users(made: Made, tmp_path: Path) -> None:
    settings = {"leaves": 4, "leaves_to_search": 1, "reorder": 16}
    index_model(
        made.folder / "model", tmp_path / "made", kind="scann", scann=settings, recall=0.95, quiet=True
    )
    index = load_newest(tmp_path / "made")
    asked = query_embeddings(made.trained, made.dataset, 2000, quiet=True)
    np.testing.assert_array_equal(index.queries, asked)
    assert len(asked) == made.dataset.schema.counts.val_events
    assert index.info.recall is not None
    assert index.info.recall.queries == len(asked) // 2
    assert index.info.recall.at_10 > 0.9
    few = query_embeddings(made.trained, made.dataset, 7, quiet=True)
    assert len(few) == 7
    assert {tuple(row) for row in few.round(4)} <= {tuple(row) for row in asked.round(4)}


def test_queries_are_those_of_the_model(made: Made) -> None:
    """The best of the catalogue by their embeddings alone is what the model says without its copies."""
    asked = query_embeddings(made.trained, made.dataset, 10**6, quiet=True)
    servable = made.exact
    positions = np.flatnonzero(made.dataset.sequences.is_role("val"))
    encoded = ask(servable, "encode", requests(made.dataset, positions))["query_embedding"]
    order = [np.lexsort(x.T.round(3)) for x in (asked, encoded)]
    np.testing.assert_allclose(asked[order[0]], encoded[order[1]], atol=2e-3)


def test_new_items_lie_where_their_features_say(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "made"
    index_model(made.folder / "model", out, filters=["colour"], quiet=True)
    # Two lines of one kind: an item of the catalogue's features, and one of none.
    like = made.dataset.catalogue.iloc[4]
    frame = new_items(colour=[like["colour"], None], tags=[like["tags"], []], price=[like["price"], np.nan])
    frame.to_parquet(tmp_path / "items.parquet")
    add_file(made, out, tmp_path / "items.parquet")
    index = load_newest(out)
    assert (index.info.items, index.info.added, index.info.version) == (len(made.dataset.catalogue) + 2, 2, 2)
    tower = made.trained.model.candidate_tower
    table = tower.embedding.table.numpy()
    counts = made.dataset.catalogue["train_count"].to_numpy()
    few = np.flatnonzero(counts <= np.quantile(counts, 0.1)) + FIRST_ROW
    of_features = tower.embedding(np.array([4 + FIRST_ROW])).numpy()[0] - table[4 + FIRST_ROW]
    expected = np.append(table[few].mean(axis=0) + of_features, tower.bias.numpy()[few].mean())
    found = index.embeddings(index.rows(np.array([900, 901])))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_allclose(found[1][:-1], table[few].mean(axis=0), atol=1e-5)
    colour = [b"red", b"blue"][["red", "blue"].index(like["colour"])]
    assert 900 in index.raw(index.having("colour", [colour]).rows, -1)


def test_new_items_inherit_of_what_they_are_like(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "made"
    index_model(made.folder / "model", out, quiet=True)
    known = made.dataset.catalogue.iloc[[0]]
    frame = pd.concat([new_items(), known[list(new_items().columns)]], ignore_index=True)
    places, likeness = similar_items(
        frame.iloc[:1], made.dataset.catalogue, made.dataset.schema.item_features, made.dataset.features
    )
    index_new_items(made.folder / "model", out, frame, inherit=0.5)
    index = load_newest(out)
    heirs = index.base.heirs.followed_by(index.added.heirs, len(index.base))
    # The second item has no features, and the third is none that came since.
    assert index.raw(heirs.row, -1).tolist() == [900, 901]
    ids = made.dataset.catalogue["item_id"].to_numpy()
    assert heirs.like[0].tolist() == ids[places[0]].tolist()
    np.testing.assert_allclose(heirs.weight[0], 0.5 * likeness[0] / likeness[0].sum(), rtol=1e-5)
    assert heirs.weight[1].sum() == 0
    index_new_items(made.folder / "model", out, frame, inherit=0)
    index = load_newest(out)
    assert not len(index.base.heirs.row) + len(index.added.heirs.row)
    with pytest.raises(SettingsError, match=r"inherit=-1: expected 0"):
        index_new_items(made.folder / "model", out, frame, inherit=-1)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (new_items().drop(columns="price"), "price"),
        (new_items(item_id=[900, 900]), "900 stands twice"),
        (new_items(item_id=["x", "y"]), "expected whole numbers"),
        (new_items(item_id=[900, None]), "line 2 has no item_id"),
        (new_items(price=["cheap", "dear"]), "column 'price': expected numbers"),
        (new_items()[:0], "holds no items"),
    ],
)
def test_bad_files_of_new_items(made: Made, frame: pd.DataFrame, words: str, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "items.parquet")
    with pytest.raises(DataError, match=words):
        read_new_items(tmp_path / "items.parquet", made.dataset.schema)


def test_new_items_from_csv(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "made"
    index_model(made.folder / "model", out, quiet=True)
    csv = "item_id,colour,tags,price\n900,red,a|b,2.5\n901,,,\n"
    (tmp_path / "items.csv").write_text(csv)
    add_file(made, out, tmp_path / "items.csv")
    new_items(tags=[["a", "b"], []], price=[2.5, np.nan]).to_parquet(tmp_path / "items.parquet")
    add_file(made, out, tmp_path / "items.parquet")
    index = load_newest(out)
    assert index.info.added == 2
    with pytest.raises(DataError, match=r"none.csv"):
        read_new_items(tmp_path / "none.csv", made.dataset.schema)


def test_values_are_spelled_as_the_catalogue_has_them(
    rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    """Numbers that are names: 8 is written 08 by one program and 8.0 by another."""
    dataset = rich_dataset()
    facts = replace(dataset, features={"colour": Vocabulary(["7", "8"]), "tags": Vocabulary(["5", "6"])})
    path = tmp_path / "items.csv"
    path.write_text("item_id,colour,tags,price\n900,08,5|06,1\n901,7,,\n902,,9|5,2\n903,blau,6,3\n")
    frame = _canonical(read_new_items(path, dataset.schema), facts)
    assert frame["colour"].fillna("-").tolist() == ["8", "7", "-", "blau"]
    assert frame["tags"].tolist() == [["5", "6"], [], ["9", "5"], ["6"]]
    seen = _seen(frame, facts)
    assert seen["colour"].fillna("-").tolist() == ["8", "7", "-", "-"]
    assert seen["tags"].tolist() == [["5", "6"], [], ["5"], ["6"]]
    pd.DataFrame({"item_id": [1, 2], "colour": [8, None], "tags": [[5], None], "price": [1, 2]}).to_parquet(
        tmp_path / "items.parquet"
    )
    frame = _canonical(read_new_items(tmp_path / "items.parquet", dataset.schema), facts)
    assert frame["colour"].fillna("-").tolist() == ["8", "-"]
    assert frame["tags"].tolist() == [["5"], []]


def test_what_cannot_be_indexed(made: Made, tmp_path: Path) -> None:
    model = made.folder / "model"
    with pytest.raises(SettingsError, match="'price' is no feature of the catalogue with one value"):
        index_model(model, tmp_path / "a", filters=["price"])
    with pytest.raises(SettingsError, match="an exact index finds everything"):
        index_model(model, tmp_path / "a", kind="exact", recall=0.9)
    with pytest.raises(DataError, match="Name one by --dataset"):
        index_model(model, tmp_path / "a", recall=0.9, dataset_folder=tmp_path / "none")
    with pytest.raises(SettingsError, match=r"answers\.…"):
        index_model(model, tmp_path / "a", overrides=["model.dimensions=4"])
    assert not (tmp_path / "a").exists()


def test_a_model_of_other_weights_has_another_space(made: Made, tmp_path: Path) -> None:
    from tfrec.trained import space_of

    path = made.folder / "model" / "model.keras"
    (tmp_path / "other").write_bytes(path.read_bytes() + b"x")
    assert 0 < space_of(path) != space_of(tmp_path / "other") > 0
