"""The metadata of a servable."""

from pathlib import Path

import pytest

from tfrec.errors import DataError
from tfrec.servable import INFO_FILE, ServableInfo

INFO = ServableInfo(
    name="groceries",
    version=3,
    retrieval="exact",
    user_id_type="int64",
    item_id_type="string",
    session_from="id",
    session_gap_s=1800,
    session_id_type="int64",
    has_clock=True,
    event_types=("purchase",),
    context={"store": "categorical", "discount": "numeric"},
    max_length=100,
    k=20,
    items=13343,
)


def write(folder: Path, content: str) -> None:
    (folder / "assets").mkdir()
    (folder / "assets" / INFO_FILE).write_text(content, encoding="utf-8")


def test_written_and_loaded(tmp_path: Path) -> None:
    write(tmp_path, INFO.model_dump_json())
    assert ServableInfo.load(tmp_path) == INFO


def test_a_folder_without_metadata_is_no_servable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"is no servable of tfrec: it has no assets/{INFO_FILE}"):
        ServableInfo.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", INFO.model_dump_json().replace("exact", "guess")])
def test_metadata_that_cannot_be_read_are_named(tmp_path: Path, content: str) -> None:
    write(tmp_path, content)
    with pytest.raises(DataError, match=f"{INFO_FILE} cannot be read"):
        ServableInfo.load(tmp_path)
