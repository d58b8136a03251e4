"""Files of items: what becomes a feature, what names an item, what is refused."""

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_prep.items import found_kind
from data_prep.new_items import read_new_items
from data_prep.words import BUCKETS
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError

Preparer = Callable[..., Dataset]
LogMaker = Callable[..., pd.DataFrame]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, None], "numeric"),
        ([[1], [2, 3]], "multi"),
        (["a|b", "c"], "multi"),
        (["red", "blue"] * 20, "categorical"),
        ([True, False], "categorical"),
        ([f"title {i}" for i in range(50)], "name"),
        ([f"brand {i}" for i in range(5)], "categorical"),
        ([None, None], "categorical"),
    ],
)
def test_kinds_are_found(values: list[object], kind: str) -> None:
    assert found_kind(pd.Series(values)) == kind


@pytest.fixture
def items_file(tmp_path: Path) -> Path:
    rows = np.arange(40)
    frame = pd.DataFrame(
        {
            "sku": rows,
            "title": [f"title {i}" for i in rows],
            "price": rows / 2,
            "maker": np.where(rows % 2, 17.0, np.nan),
            "secret": rows,
        }
    )
    frame.to_csv(tmp_path / "items.csv", index=False)
    return tmp_path / "items.csv"


def test_features_and_names(prepared: Preparer, shop_log: LogMaker, items_file: Path) -> None:
    dataset = prepared(
        shop_log(),
        items_file=items_file,
        items_id="sku",
        features={"maker": "categorical", "secret": "none", "title": "auto"},
    )
    assert {f.name: f.kind for f in dataset.schema.item_features} == {
        "price": "numeric",
        "maker": "categorical",
    }
    assert dataset.schema.item_name_columns == ("title",)
    assert dataset.features["maker"].values.tolist() == ["17"]
    by_id = dataset.catalogue.set_index("item_id")
    assert by_id.loc[3, "title"] == "title 3"
    assert by_id.loc[3, "maker"] == "17"
    assert pd.isna(by_id.loc[4, "maker"])


def test_what_does_not_fit_the_log_is_refused(
    prepared: Preparer, shop_log: LogMaker, items_file: Path
) -> None:
    log = shop_log()
    with pytest.raises(DataError, match=r"has no column 'item_id'.*--items-id"):
        prepared(log, items_file=items_file)
    with pytest.raises(SettingsError, match="name a file with --items"):
        prepared(log, features={"price": "numeric"})
    with pytest.raises(SettingsError, match="'colour': items have no such column; theirs are 'title'"):
        prepared(log, items_file=items_file, items_id="sku", features={"colour": "categorical"})
    with pytest.raises(DataError, match=r"none of the 40 items.*the file has 'title 0'"):
        prepared(log, items_file=items_file, items_id="title")
    with pytest.raises(DataError, match="none of the 40 items"):
        prepared(log.assign(item_id=log["item_id"] + 1000), items_file=items_file, items_id="sku")


def test_parquet_s_index_is_no_feature_and_huge_numbers_are_text(
    prepared: Preparer, shop_log: LogMaker, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"item_id": range(11), "size": [1, 2] * 5 + [3]}, index=list("abcdefghijk"))
    frame.to_parquet(tmp_path / "items.parquet")
    dataset = prepared(shop_log(), items_file=tmp_path / "items.parquet")
    assert [f.name for f in dataset.schema.item_features] == ["size"]
    (tmp_path / "items.csv").write_text("item_id,code\n1,99999999999999999999\n2,5\nsoiled,7\n,8\n2,9\n")
    dataset = prepared(shop_log(), items_file=tmp_path / "items.csv")
    assert set(dataset.features["code"].values) == {"99999999999999999999", "5"}


def test_names_that_cannot_be_files_are_refused(
    prepared: Preparer, shop_log: LogMaker, items_file: Path
) -> None:
    log = shop_log().assign(**{"../x": "phone"})
    with pytest.raises(ValueError, match="part of a file's name"):
        prepared(log, context={"../x": "auto"})
    pd.read_csv(items_file).rename(columns={"price": "price/unit"}).to_csv(items_file, index=False)
    with pytest.raises(SettingsError, match="--feature price/unit:none"):
        prepared(log, items_file=items_file, items_id="sku")
    dataset = prepared(log, items_file=items_file, items_id="sku", features={"price/unit": "none"})
    assert "price/unit" not in {feature.name for feature in dataset.schema.item_features}


def test_names_that_the_catalogue_needs_are_refused(
    prepared: Preparer, shop_log: LogMaker, items_file: Path
) -> None:
    pd.read_csv(items_file).rename(columns={"secret": "item_id"}).to_csv(items_file, index=False)
    with pytest.raises(DataError, match="'item_id', a name that the catalogue needs"):
        prepared(shop_log(), items_file=items_file, items_id="sku")


def test_words_of_a_title_are_a_feature_beside_the_name(
    prepared: Preparer, shop_log: LogMaker, items_file: Path, tmp_path: Path
) -> None:
    dataset = prepared(shop_log(), items_file=items_file, items_id="sku", features={"title": "words"})
    feature = next(f for f in dataset.schema.item_features if f.name == "title_words")
    assert (feature.kind, feature.words_of) == ("multi", "title")
    assert dataset.schema.item_name_columns == ("title",)
    catalogue = dataset.catalogue.set_index("item_id")
    title, one, two = (zlib.crc32(word.encode()) % BUCKETS for word in ("title", "1", "2"))
    assert catalogue["title_words"][1].tolist() == [str(title), str(one)]
    new = tmp_path / "new.csv"
    new.write_text("item_id,title,price,maker,secret\n900,TITLE — title: 2!,1,17,3\n901,,1,17,3\n")
    found = read_new_items(new, dataset.schema)
    assert found["title_words"].tolist() == [[str(title), str(two)], []]
    new.write_text("item_id,title_words,price,maker,secret\n900,1,1,17,3\n")
    with pytest.raises(DataError, match="title"):
        read_new_items(new, dataset.schema)


def test_words_need_a_name_of_their_own(
    prepared: Preparer, shop_log: LogMaker, items_file: Path, tmp_path: Path
) -> None:
    pd.read_csv(items_file).assign(title_words="x").to_csv(items_file, index=False)
    with pytest.raises(SettingsError, match="title_words"):
        prepared(shop_log(), items_file=items_file, items_id="sku", features={"title": "words"})
