"""`schema.json`: there and back, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.schema import FORMAT_VERSION, SCHEMA_FILE, ContextColumn, DatasetSchema, ItemFeature


@pytest.fixture
def schema(dataset_of: Callable[..., Dataset]) -> DatasetSchema:
    events = pd.DataFrame(
        {"user_id": [1], "item_id": ["a"], "timestamp": [0], "session_id": [0], "role": ["train"]}
    )
    return dataset_of(events).schema


def test_saved_and_loaded(schema: DatasetSchema, tmp_path: Path) -> None:
    whole = schema.model_copy(
        update={
            "event_types": ("view", "kjøp"),
            "context": (ContextColumn(name="device", kind="categorical", size=5),),
            "item_features": (ItemFeature(name="price", kind="numeric", mean=2.5, std=0.5),),
            "item_name_columns": ("title",),
        }
    )
    whole.save(tmp_path)
    assert DatasetSchema.load(tmp_path) == whole


def change(schema: DatasetSchema, folder: Path, **changes: object) -> None:
    (folder / SCHEMA_FILE).write_text(json.dumps(json.loads(schema.model_dump_json()) | changes))


def test_a_folder_without_schema_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no dataset.*tfrec prepare"):
        DatasetSchema.load(tmp_path)


def test_another_format_version_is_named(schema: DatasetSchema, tmp_path: Path) -> None:
    change(schema, tmp_path, format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        DataError, match=f"format version {FORMAT_VERSION + 1}, this tfrec reads {FORMAT_VERSION}"
    ):
        DatasetSchema.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"colour": "red"}, "colour"), ({"split": "by_moon"}, "split"), ({"first_time": "soon"}, "first_time")],
)
def test_wrong_fields_are_named(
    schema: DatasetSchema, tmp_path: Path, changes: dict[str, object], field: str
) -> None:
    change(schema, tmp_path, **changes)
    with pytest.raises(DataError, match=rf"(?s){SCHEMA_FILE} cannot be read.*{field}"):
        DatasetSchema.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[]"])
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SCHEMA_FILE).write_bytes(content)
    with pytest.raises(DataError, match=f"{SCHEMA_FILE} cannot be read"):
        DatasetSchema.load(tmp_path)


def test_facts_cannot_be_changed(schema: DatasetSchema) -> None:
    with pytest.raises(ValidationError):
        schema.split = "none"  # type: ignore[misc]
