"""Impressions of either form become what the contract describes, and know nothing of what comes later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import data_prep
from data_prep import PrepareOptions
from tfrec.cli.prepare import register
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.impressions import Impressions as Loaded
from tfrec.schema import REJECTED_FILE, UNKNOWN_ROW

QUIET = Console(quiet=True)
START = 1_600_000_000
DAY = 86_400
SHOWN = pd.DataFrame(
    {
        "user_id": ["u1", "u0", "u9"],
        "timestamp": [START + 2 * DAY, START + 30, START + DAY],
        "shown": [[1, 7, 99], [0, 1], [8, 1]],
        "clicked": [[7], [], [8, 1]],
        "bought": [[], [], [8]],
        "device": ["phone", "desktop", None],
    }
)
ASKED = {"labels": {"click": "clicked", "purchase": "bought"}, "context": {"device": "auto"}}


def rows_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The same impressions, a row a shown item, in another order."""
    one = frame.assign(number=range(len(frame))).explode("shown").rename(columns={"shown": "item_id"})
    for label in ("clicked", "bought"):
        one[label] = [int(item in having) for item, having in zip(one.item_id, one[label], strict=True)]
    return one.sort_values("item_id", kind="stable")


def prepare(
    folder: Path,
    log: pd.DataFrame,
    shown: pd.DataFrame,
    form: str = "parquet",
    split: str = "last_session",
    split_days: int = 14,
    ordered: bool = True,
    **asked: Any,
) -> Loaded:
    folder.mkdir(exist_ok=True)
    path = folder / f"shown.{form}"
    if form == "parquet":
        shown.to_parquet(path)
    elif form == "jsonl":
        shown.to_json(path, orient="records", lines=True)
    else:
        shown.to_csv(path, index=False)
    log.to_csv(folder / "log.csv", index=False)
    chosen = {"split": split, "split_days": split_days, "ordered_sessions": ordered}
    chosen["impressions"] = {"file": path, **ASKED, **asked}
    options = PrepareOptions.model_validate(chosen)
    data_prep.prepare("log", [folder / "log.csv"], folder / "dataset", options, overwrite=True, console=QUIET)
    return Loaded.load(folder / "dataset", Dataset.load(folder / "dataset"))


@pytest.mark.parametrize("form", ["lists", "lists as text", "lists as JSON", "rows", "rows as text"])
def test_every_form_gives_the_same_impressions(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path, form: str
) -> None:
    frame = SHOWN
    if form == "lists as text":
        lists = ["shown", "clicked", "bought"]
        frame = frame.assign(**{c: frame[c].map(lambda v: "|".join(map(str, v))) for c in lists})
    if form.startswith("rows"):
        frame = rows_of(frame)
    file_form = "jsonl" if "JSON" in form else "csv" if "text" in form else "parquet"
    more = {"id": "number"} if form.startswith("rows") else {}
    found = prepare(tmp_path, shop_log(), frame, file_form, **more)
    dataset = Dataset.load(tmp_path / "dataset")
    assert found.time.tolist() == sorted(SHOWN["timestamp"])
    assert found.user_id.tolist() == ["u0", "u9", "u1"]
    assert found.user.tolist() == [0, -1, 1]
    shown = [
        {
            (None if row == UNKNOWN_ROW else int(dataset.items.raw(row)), int(click), int(bought))
            for row, click, bought in zip(
                found.item[a:b],
                found.labels["click"][a:b],
                found.labels["purchase"][a:b],
                strict=True,
            )
        }
        for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]
    assert shown == [{(0, 0, 0), (1, 0, 0)}, {(8, 1, 1), (1, 1, 0)}, {(1, 0, 0), (7, 1, 0), (None, 0, 0)}]
    facts = dataset.schema.impressions
    assert facts is not None
    assert (facts.labels, facts.candidates) == (("click", "purchase"), 7)
    assert [(c.name, c.kind) for c in facts.context] == [("device", "categorical")]


def test_users_are_found_whatever_type_their_ids_have(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    """A guest makes text of the ids that are integers in the log."""
    log = shop_log().assign(user_id=lambda frame: frame["user_id"].str[1:].astype(int))
    shown = SHOWN.assign(user_id=["1", "0", "guest"])
    found = prepare(tmp_path, log, shown)
    assert found.user.tolist() == [0, -1, 1]
    assert found.statistics["user_events"][0] == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("shown", [], "shown is empty"),
        ("shown", [0, 0], "shown holds an item twice"),
        ("clicked", [5], "clicked holds an item that was not shown"),
        ("user_id", None, "user_id is missing"),
        ("timestamp", 5e12, "timestamp is no time between 1970 and tomorrow"),
    ],
)
def test_bad_rows_are_set_aside_with_a_reason(
    shop_log: Callable[..., pd.DataFrame], tmp_path: Path, column: str, value: Any, reason: str
) -> None:
    many = pd.concat([SHOWN] * 10, ignore_index=True).astype({"timestamp": float})
    many[column] = [value, *many[column][1:]]
    found = prepare(tmp_path, shop_log(), many)
    assert len(found) == 29
    rejected = pd.read_parquet(tmp_path / "dataset" / REJECTED_FILE)
    assert rejected["reason"].tolist() == [reason]
    assert rejected["file"].tolist() == ["shown.parquet"]


def test_a_label_of_a_row_is_0_or_1(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    frame = rows_of(pd.concat([SHOWN] * 8, ignore_index=True)).reset_index(drop=True)
    frame.loc[3, "clicked"] = 2
    frame = pd.concat([frame, frame.iloc[-1:]])
    with pytest.raises(DataError, match=r"1 of 7 rows .* 1 times clicked is neither 0 nor 1"):
        prepare(tmp_path, shop_log(), frame.iloc[:7], id="number")
    prepare(tmp_path, shop_log(), frame, id="number")
    rejected = pd.read_parquet(tmp_path / "dataset" / REJECTED_FILE)
    assert rejected["row_number"].tolist() == [4, len(frame)]
    assert rejected["reason"].tolist() == [
        "clicked is neither 0 nor 1",
        "item_id stands twice in an impression",
    ]


def test_numbers_that_came_of_candidates(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Lists as long as the items, or a number a row; what is missing stays so."""
    numbers = [[1.5, None, 3.0], [4.0, 5.0], [None, 7.0]]
    lists = SHOWN.assign(dwell=numbers)
    found = prepare(tmp_path, shop_log(), lists, values={"read": "dwell"})
    expected = np.array([4.0, 5.0, np.nan, 7.0, 1.5, np.nan, 3.0], np.float32)  # by time
    np.testing.assert_array_equal(found.values["read"], expected)
    (facts,) = found.facts.values
    assert (facts.name, facts.mean) == ("read", pytest.approx(np.nanmean(expected)))
    of_each = lists.assign(number=range(3)).explode(["shown", "dwell"]).set_index(["number", "shown"]).dwell
    one = rows_of(SHOWN)
    one["dwell"] = [of_each[key] for key in zip(one.number, one.item_id, strict=True)]
    rows = prepare(tmp_path, shop_log(), one, "csv", id="number", values={"read": "dwell"})
    orders = [np.lexsort((f.values["read"], f.item, f.of_candidate)) for f in (found, rows)]
    told = [f.values["read"][order] for f, order in zip((found, rows), orders, strict=True)]
    np.testing.assert_array_equal(*told)
    short = SHOWN.assign(dwell=[[1.0], *numbers[1:]])
    with pytest.raises(DataError, match="dwell has not as many numbers as shown has items"):
        prepare(tmp_path, shop_log(), short, values={"read": "dwell"})


def test_what_cannot_be_is_said(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    log = shop_log()
    with pytest.raises(DataError, match=r"no column 'liked'; its columns are .*--label"):
        prepare(tmp_path, log, SHOWN, labels={"like": "liked"})
    strange = SHOWN.assign(shown=[["a", "b"]] * 3, clicked=[["a"]] * 3, bought=[[]] * 3)
    with pytest.raises(DataError, match=r"none of the 2 items shown is in the log.*--shown"):
        prepare(tmp_path, log, strange)
    with pytest.raises(DataError, match=r"expected lists, or text with '\|' between ids"):
        prepare(tmp_path, log, SHOWN.assign(shown=[1, 2, 3]))


def test_the_command_takes_impressions(shop_log: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    shop_log().to_csv(tmp_path / "log.csv", index=False)
    rows_of(SHOWN).to_csv(tmp_path / "shown.csv", index=False)
    app = typer.Typer()
    register(app)
    base = [str(tmp_path / "log.csv"), "--out", str(tmp_path / "dataset")]
    options = ["--impression-id", "number", "--label", "like=clicked", "--impression-context", "device"]
    refused = CliRunner().invoke(app, [*base, *options])
    assert "options of impressions were given without --impressions FILE" in str(refused.exception)
    file = ["--impressions", str(tmp_path / "shown.csv")]
    wrong = CliRunner().invoke(app, [*base, *file, "--label", "like"])
    assert "--label ['like']: expected NAME=COLUMN" in str(wrong.exception)
    done = CliRunner().invoke(app, [*base, *file, *options])
    assert done.exit_code == 0
    assert "impressions: 3 train, 0 val, 0 test, of 7 candidates; labels: like" in done.output
