"""Files of every kind and every fault: what is read, and where each bad row is said to be."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import data_prep
from data_prep import PrepareOptions
from data_prep.files import list_files, read_file
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.schema import REJECTED_FILE

COLUMNS = ["user_id", "item_id", "timestamp"]
GOOD = "u1,5,1600000000"
LogMaker = Callable[..., pd.DataFrame]


def prepare(paths: list[Path], out: Path, **options: object) -> Dataset:
    chosen = PrepareOptions.model_validate({"split": "none", "drop_duplicates": False} | options)
    data_prep.prepare("log", paths, out, chosen, console=Console(quiet=True))
    return Dataset.load(out)


def rejected_of(out: Path) -> dict[int, str]:
    frame = pd.read_parquet(out / REJECTED_FILE)
    return dict(zip(frame["row_number"], frame["reason"], strict=True))


@given(st.lists(st.sampled_from(["good", "short", "long", "no user"]), min_size=1, max_size=40))
@settings(max_examples=30)
def test_rows_keep_their_numbers_behind_broken_lines(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str]
) -> None:
    lines = {"good": GOOD, "short": "u1,5", "long": f"{GOOD},9", "no user": ",5,1600000000"}
    folder = tmp_path_factory.mktemp("log")
    path = folder / "log.csv"
    path.write_text("\n".join([",".join(COLUMNS), GOOD, *(lines[kind] for kind in kinds)]))
    dataset = prepare([path], folder / "dataset", max_rejected_share=1)
    assert dataset.schema.counts.events == 1 + kinds.count("good")
    bad = {number for number, kind in enumerate(kinds, 3) if kind != "good"}
    assert set(rejected_of(folder / "dataset")) == bad


def test_a_broken_line_of_json_is_set_aside(shop_log: LogMaker, tmp_path: Path) -> None:
    rows = shop_log().to_dict("records")
    lines = [json.dumps(row) for row in rows]
    lines[4] = lines[4][:20]
    lines[9] = "[1, 2]"
    lines[12] = json.dumps({**rows[12], "item_id": None})
    lines[14] = json.dumps({**rows[14], "timestamp": float("nan")})  # no JSON, but some write it
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(lines))
    dataset = prepare([path], tmp_path / "dataset", max_rejected_share=0.1)
    assert dataset.schema.counts.events == len(rows) - 4
    assert dataset.schema.item_id_type == "int64"
    found = rejected_of(tmp_path / "dataset")
    assert set(found) == {5, 10, 13, 15}
    assert found[13] == "item_id is missing"


def test_json_ids_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    items = ["2020-01-01", "naïve ☕", 7, "12:30"]
    rows = [{"user_id": 1, "item_id": item, "timestamp": 1_600_000_000 + i} for i, item in enumerate(items)]
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    dataset = prepare([path], tmp_path / "mixed")
    assert set(dataset.items.values) == {str(item) for item in items}
    path.write_bytes(gzip.compress((json.dumps(rows[0]) + "\n").encode()))
    assert prepare([path], tmp_path / "date").items.values.tolist() == ["2020-01-01"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_header_s(shop_log: LogMaker, tmp_path: Path, delimiter: str) -> None:
    shop_log().to_csv(tmp_path / "log.csv", index=False, sep=delimiter)
    assert prepare([tmp_path / "log.csv"], tmp_path / "dataset").schema.counts.events == 48


def test_quoted_text_may_hold_anything(tmp_path: Path) -> None:
    items = ["a,b", 'say "x"', "two\nlines", "ü"]
    frame = pd.DataFrame({"user_id": 1, "item_id": items, "timestamp": 1_600_000_000})
    frame.to_csv(tmp_path / "log.csv", index=False)
    assert set(prepare([tmp_path / "log.csv"], tmp_path / "dataset").items.values) == set(items)


def test_ties_keep_the_order_of_sorted_names_and_rows(tmp_path: Path) -> None:
    for name, first in (("b", 100), ("a", 0), ("c", 200)):
        frame = pd.DataFrame(
            {"user_id": 1, "item_id": np.arange(first + 30, first, -1), "timestamp": 1_600_000_000}
        )
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    names = ["c.csv", "a.csv", "b.csv"]
    dataset = prepare([tmp_path / name for name in [*names, "a.csv"]], tmp_path / "dataset")
    expected = np.concatenate([np.arange(first + 30, first, -1) for first in (0, 100, 200)])
    assert dataset.items.values[dataset.sequences.item - 2].tolist() == expected.tolist()


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "log.csv").write_text("\n".join([",".join(COLUMNS), GOOD, f",{GOOD[3:]}"]))
    prepare([tmp_path / "x", tmp_path / "y"], tmp_path / "dataset", max_rejected_share=1)
    frame = pd.read_parquet(tmp_path / "dataset" / REJECTED_FILE)
    assert frame["file"].tolist() == [str(tmp_path / folder / "log.csv") for folder in ("x", "y")]
    assert frame["row_number"].tolist() == [3, 3]


def test_parquet_of_any_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": pa.array(["a", "b", "a"]).dictionary_encode(),
            "item_id": pa.array([3.0, 4.0, None]),
            "timestamp": pa.array([1_600_000_000_000_000_000] * 3, pa.timestamp("ns", tz="Europe/Berlin")),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    dataset = prepare([tmp_path / "log.parquet"], tmp_path / "dataset", max_rejected_share=0.5)
    assert dataset.items.values.tolist() == [3, 4]
    assert dataset.sequences.time.tolist() == [1_600_000_000] * 2
    assert rejected_of(tmp_path / "dataset") == {3: "item_id is missing"}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_of_lists_is_refused_by_name(tmp_path: Path, column: str) -> None:
    fields: dict[str, object] = {"user_id": [1], "item_id": [2], "timestamp": [1_600_000_000]}
    pq.write_table(pa.table({**fields, column: [[1, 2]]}), tmp_path / "log.parquet")
    with pytest.raises(DataError, match=rf"column '{column}' holds list"):
        prepare([tmp_path / "log.parquet"], tmp_path / "dataset")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.json", b'[{"user_id": 1},\n{"user_id": 2}]', "no line is a JSON object"),
        ("log.jsonl", b'{"user": 1, "item_id": 2}\n', "Did you mean 'user'"),
        ("log.parquet", b"PAR1 and no more", "cannot be read"),
        ("log.csv.gz", b"user_id,item_id,timestamp\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as refused:
        prepare([tmp_path / name], tmp_path / "dataset")
    assert str(tmp_path / name) in str(refused.value)


def test_what_is_no_utf_8_costs_its_rows_alone(tmp_path: Path) -> None:
    lines = [",".join(COLUMNS), GOOD, GOOD.replace("u1", "Muñoz"), "ñ,1", GOOD]
    (tmp_path / "log.csv").write_text("\n".join(lines), encoding="latin-1")
    dataset = prepare([tmp_path / "log.csv"], tmp_path / "dataset", max_rejected_share=0.5)
    assert dataset.schema.counts.events == 2
    assert rejected_of(tmp_path / "dataset")[3] == "user_id is no UTF-8"
    assert set(rejected_of(tmp_path / "dataset")) == {3, 4}
    rows = [json.dumps(dict(zip(COLUMNS, (user, 5, 1_600_000_000), strict=True))) for user in "abc"]
    (tmp_path / "log.jsonl").write_text("\n".join(rows).replace('"b"', '"ñ"'), encoding="latin-1")
    prepare([tmp_path / "log.jsonl"], tmp_path / "json", max_rejected_share=0.5)
    assert set(rejected_of(tmp_path / "json")) == {2}
    (tmp_path / "log.csv").write_text("\n".join(lines[:3]), encoding="utf-8")
    assert "Muñoz" in prepare([tmp_path / "log.csv"], tmp_path / "utf8").sequences.user_id


def test_parquet_with_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    broken = pa.array([b"Mu\xf1oz"]).view(pa.string())
    pq.write_table(
        pa.table({"user_id": broken, "item_id": [1], "timestamp": [1_600_000_000]}), tmp_path / "log.parquet"
    )
    with pytest.raises(DataError, match="cannot be read"):
        prepare([tmp_path / "log.parquet"], tmp_path / "dataset")


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list_files([tmp_path / "log.csv"])
    with pytest.raises(DataError, match="holds no file"):
        list_files([tmp_path])
    with pytest.raises(DataError, match="no log was named"):
        list_files([])


def test_a_megabyte_of_id_costs_its_row_alone(tmp_path: Path) -> None:
    for name, lines in {
        "log.csv": [",".join(COLUMNS), GOOD, "x" * 1_000_000 + GOOD[2:], GOOD],
        "log.jsonl": [
            json.dumps(dict(zip(COLUMNS, (user, 5, 1_600_000_000), strict=True)))
            for user in ("u1", "x" * 3_000_000, "u1")
        ],
    }.items():
        (tmp_path / name).write_text("\n".join(lines))
        dataset = prepare([tmp_path / name], tmp_path / f"{name}-dataset", max_rejected_share=0.5)
        assert dataset.schema.counts.events == 2
        assert [*rejected_of(tmp_path / f"{name}-dataset").values()] == ["user_id is longer than 1024 bytes"]


def test_a_log_of_unknown_name_is_known_by_its_content(shop_log: LogMaker, tmp_path: Path) -> None:
    shop_log().to_parquet(tmp_path / "events")
    assert read_file(tmp_path / "events", ["item_id"]).table.column_names == ["item_id"]


BEYOND = 2**63 + 5


def test_integers_beyond_64_bits_keep_their_digits(tmp_path: Path) -> None:
    row = {"user_id": [BEYOND, 7], "item_id": [1, 2], "timestamp": [1_600_000_000] * 2}
    pq.write_table(
        pa.table({**row, "user_id": pa.array(row["user_id"], pa.uint64())}), tmp_path / "a.parquet"
    )
    lines = [json.dumps({name: values[i] for name, values in row.items()}) for i in range(2)]
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    pd.DataFrame(row).to_csv(tmp_path / "c.csv", index=False)
    for name in ("a.parquet", "b.jsonl", "c.csv"):
        dataset = prepare([tmp_path / name], tmp_path / f"{name}-dataset")
        assert set(dataset.sequences.user_id) == {str(BEYOND), "7"}


def test_text_of_any_arrow_type(tmp_path: Path) -> None:
    for number, kind in enumerate((pa.string_view(), pa.large_string(), pa.binary())):
        text = pa.array([b"a", b"b"], pa.binary()).cast(pa.string()).cast(kind)
        table = pa.table({"user_id": text, "item_id": text, "timestamp": [1_600_000_000] * 2})
        pq.write_table(table, tmp_path / "log.parquet")
        dataset = prepare([tmp_path / "log.parquet"], tmp_path / f"dataset-{number}")
        assert dataset.items.values.tolist() == ["a", "b"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user_id,item_id,item_id,timestamp\n1,2,3,{1_600_000_000}\n")
    arrays = [pa.array([1]), pa.array([2]), pa.array([3]), pa.array([1_600_000_000])]
    names = ["user_id", "item_id", "item_id", "timestamp"]
    pq.write_table(pa.Table.from_arrays(arrays, names), tmp_path / "log.parquet")
    for name in ("log.csv", "log.parquet"):
        with pytest.raises(DataError, match="has 2 columns 'item_id'"):
            prepare([tmp_path / name], tmp_path / "dataset")


def test_a_message_is_not_flooded_by_what_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(",".join(f"{i}" * 200 for i in range(500)) + "\n1\n")
    with pytest.raises(DataError, match=r"has no column.*and 470 more") as refused:
        prepare([tmp_path / "log.csv"], tmp_path / "dataset")
    assert len(str(refused.value)) < 3000
