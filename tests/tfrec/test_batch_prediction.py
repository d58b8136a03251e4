"""Batch jobs: parts, what goes on where it stopped, shards, and what is refused."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tfrec.made import Made
from tfrec.batch_answers import BatchAnswers, answer_requests
from tfrec.batch_files import item_table, seconds_of, user_ids
from tfrec.batch_parts import FACTS_FILE, SUCCESS_FILE, of_shard, plan
from tfrec.batch_prediction import Predicted, predict
from tfrec.errors import DataError, SettingsError
from tfrec.next_requests import with_next_requests

K, CHUNK = 5, 7


def job(made: Made, out: Path, **options: Any) -> Predicted:
    return predict(made.folder / "model", out, **({"k": K, "chunk": CHUNK, "quiet": True} | options))


def read(out: Path) -> pd.DataFrame:
    """As whoever takes the answers reads them."""
    return pd.read_parquet(out).sort_values(["user_id", "rank"], ignore_index=True)


def test_parts_hold_what_the_model_answers(made: Made, tmp_path: Path) -> None:
    found = job(made, tmp_path / "answers")
    users = made.dataset.sequences.users
    assert found == Predicted(users, 0, found.parts, True, 0)
    assert (tmp_path / "answers" / SUCCESS_FILE).exists()
    answers = read(tmp_path / "answers")
    end = int(made.dataset.sequences.time.max())
    asked, positions = with_next_requests(made.dataset, end + 1)
    expected = answer_requests(BatchAnswers(made.trained, made.trained.settings, K), asked, positions)
    rows = expected["row"]
    assert answers.item_id.tolist() == made.dataset.items.raw(rows[rows > 0]).tolist()
    np.testing.assert_allclose(answers.score, expected["score"][rows > 0], rtol=1e-5)
    assert answers["rank"].tolist() == list(range(1, K + 1)) * users
    assert answers.user_id.tolist() == np.repeat(made.dataset.sequences.user_id, K).tolist()


def test_a_job_goes_on_where_it_stopped(made: Made, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "answers"
    parts = job(made, whole).parts
    assert parts > 2
    first = job(made, out, shard=(0, 3))
    assert not first.complete
    assert not (out / SUCCESS_FILE).exists()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    # What a killed process leaves is no part, and goes away.
    left = out / f".{sorted(whole.glob('part-*'))[-1].name}.partial-0000"
    left.write_bytes(b"half")
    second = job(made, out)
    assert (second.found, second.complete) == (len(kept), True)
    assert second.users == made.dataset.sequences.users - first.users
    assert not left.exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    pd.testing.assert_frame_equal(read(out), read(whole))
    assert job(made, out) == Predicted(0, parts, parts, True, 0)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"k": 4}, "k is 5"),
        ({"chunk": 3}, "chunk"),
        ({"exclude": [100]}, "allowed"),
        ({"at": 2**31}, "at is"),
    ],
)
def test_other_answers_are_not_mixed_in(
    made: Made, tmp_path: Path, options: dict[str, Any], word: str
) -> None:
    job(made, tmp_path, shard=(0, 4))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match=word):
        job(made, tmp_path, **options)
    assert sorted(tmp_path.iterdir()) == before


def test_some_users_and_newcomers(made: Made, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "answers"
    job(made, whole)
    newcomers = [990, 991]
    known = made.dataset.sequences.user_id[[9, 2, 5]].tolist()
    found = job(made, out, users=[*newcomers[::-1], *known, known[0]])
    assert (found.users, found.without_events) == (5, 2)
    answers, all_of = read(out), read(whole)
    of_known = answers[answers.user_id.isin(known)].reset_index(drop=True)
    same = all_of[all_of.user_id.isin(known)].reset_index(drop=True)
    assert of_known.item_id.tolist() == same.item_id.tolist()
    np.testing.assert_allclose(of_known.score, same.score, rtol=1e-4)
    new = [answers.item_id[answers.user_id == user].tolist() for user in newcomers]
    assert new[0] == new[1]
    assert len(new[0]) == K
    with pytest.raises(DataError, match="users are strings"):
        job(made, tmp_path / "other", users=["A-1"])


def test_filters(made: Made, tmp_path: Path) -> None:
    catalogue = made.dataset.catalogue
    blue = catalogue.item_id[catalogue.colour == "blue"].tolist()
    job(made, tmp_path / "blue", filters={"colour": ["blue"]}, exclude=blue[:1])
    assert set(read(tmp_path / "blue").item_id) <= set(blue[1:])
    job(made, tmp_path / "few", allow=[*blue[:2], 12345])
    assert set(read(tmp_path / "few").item_id) == set(blue[:2])
    assert set(read(tmp_path / "few")["rank"]) == {1, 2}
    with pytest.raises(SettingsError, match="colour"):
        job(made, tmp_path / "none", filters={"size": ["XL"]})
    with pytest.raises(DataError, match="none may be answered"):
        job(made, tmp_path / "none", allow=[12345])
    assert not (tmp_path / "none").exists()


def test_a_killed_process_leaves_whole_parts_alone(made: Made, tmp_path: Path) -> None:
    """Killed within the second part, for real; the same call then ends with the same answers."""
    whole, out = tmp_path / "whole", tmp_path / "answers"
    job(made, whole)
    code = """
import os, signal, sys
from pathlib import Path
import tfrec.batch_prediction as job
write = job.write_part
def killed(path, columns):
    if "part-00001" in path.name:
        path.with_name("." + path.name + ".partial-abcd").write_bytes(b"PAR1")
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, columns)
job.write_part = killed
model, out, k, chunk = sys.argv[1:]
job.predict(Path(model), Path(out), k=int(k), chunk=int(chunk), quiet=True)
"""
    words = [str(made.folder / "model"), str(out), str(K), str(CHUNK)]
    ended = subprocess.run([sys.executable, "-c", code, *words], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-500:]
    assert [path.name[:10] for path in out.glob("part-*")] == ["part-00000"]
    assert len(pd.read_parquet(out)) == CHUNK * K
    assert job(made, out).complete
    pd.testing.assert_frame_equal(read(out), read(whole))
    assert {path.name for path in out.iterdir() if path.name.startswith("_")} == {FACTS_FILE, SUCCESS_FILE}


def test_shards_are_neighbours_and_all_there_is() -> None:
    parts = plan([np.arange(10), np.arange(3)], 5, 4)
    assert [(part.file, part.rows.tolist()) for part in parts] == [
        (0, [0, 1, 2, 3]),
        (0, [4, 5, 6, 7]),
        (0, [8, 9]),
        (1, [0, 1, 2]),
        (-1, [0, 1, 2, 3]),
        (-1, [4]),
    ]
    for count in (1, 2, 5, 9):
        shards = [of_shard(parts, (place, count)) for place in range(count)]
        assert [part.number for shard in shards for part in shard] == list(range(6))
    with pytest.raises(SettingsError, match="0/2 to 1/2"):
        of_shard(parts, (2, 2))


def test_files_of_users_and_items(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user_id\n7\n5\n")
    assert user_ids(path) == [7, 5]
    pd.DataFrame({"user_id": ["a", None]}).to_parquet(tmp_path / "users.parquet")
    with pytest.raises(DataError, match=r"line 2: user_id is missing"):
        user_ids(tmp_path / "users.parquet")
    path.write_text("who\n7\n")
    with pytest.raises(DataError, match="no column user_id; it has who"):
        user_ids(path)
    path.write_text("item_id,clicks\n7,3\n7,4\n")
    with pytest.raises(DataError, match="7 stands twice"):
        item_table(path)
    path.write_text("item_id,clicks\n7,many\n")
    with pytest.raises(DataError, match="expected numbers, found 'many'"):
        item_table(path)
    with pytest.raises(DataError, match="cannot be read"):
        user_ids(tmp_path / "nobody.parquet")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("86400", 86400),
        ("1970-01-02", 86400),
        ("1970-01-02T01:00:00+01:00", 86400),
        ("1970-01-02T00:00Z", 86400),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
    with pytest.raises(SettingsError, match="expected ISO 8601"):
        seconds_of("tomorrow")
