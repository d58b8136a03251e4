"""model/ + dataset/ -> answers/: what each user should see next, for many users at once."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tfrec.batch_answers import BatchAnswers, answer_requests
from tfrec.batch_items import allowed_rows, known_of_items
from tfrec.batch_parts import BatchFacts, finish, of_shard, part_path, plan, write_part
from tfrec.batch_source import Source, lines_of, newest_time
from tfrec.dataset import Dataset, Facts
from tfrec.errors import DataError, SettingsError
from tfrec.export import answering
from tfrec.left_out import LeaveOut
from tfrec.next_requests import with_next_requests
from tfrec.progress import counted
from tfrec.schema import PADDING_ROW, SCHEMA_FILE
from tfrec.sequence_files import sequence_files
from tfrec.servable import Retrieval
from tfrec.settings_file import Override
from tfrec.trained import TrainedModel

CHUNK = 8192


class Predicted(NamedTuple):
    """What a call has done.

    Attributes:
        users: answered now.
        found: parts that were there already.
        parts: of the whole job.
        complete: whether all of them are there.
        without_events: users that were asked for and are not in the log.
    """

    users: int
    found: int
    parts: int
    complete: bool
    without_events: int


def predict(
    model_folder: Path,
    out: Path,
    *,
    users: Sequence[Any] | None = None,
    dataset_folder: Path | None = None,
    k: int = 50,
    at: int | None = None,
    leave_out: LeaveOut = "repeats",
    allow: Sequence[Any] | None = None,
    exclude: Sequence[Any] = (),
    filters: Mapping[str, Sequence[str]] = MappingProxyType({}),
    statistics: pd.DataFrame | None = None,
    search: Retrieval = "exact",
    overrides: Sequence[Override] = (),
    chunk: int = CHUNK,
    shard: tuple[int, int] = (0, 1),
    quiet: bool = False,
) -> Predicted:
    """Answers users' next requests, part by part; parts that are there already are not answered again.

    Args:
        model_folder: what `tfrec train` has written.
        out: the folder of answers, see `tfrec.batch_parts`; it is gone on with where it is of the same job.
        users: raw ids of those who ask, in any order; those without events are answered too. None: all of the
            dataset.
        dataset_folder: whose events are known; None: the dataset of the training.
        k: answers a user.
        at: unix seconds of the requests; None: a second after the newest event of the log.
        leave_out: what is never answered, see `tfrec.left_out`.
        allow: raw ids of the only items that may be answered; None: all.
        exclude: raw ids of items that are not answered.
        filters: by categorical feature of items, the values of which an answer must have one.
        statistics: `item_id`, and of a model that ranks by statistics what is known of items at `at`.
        search: among all items, or by ScaNN, which misses some, where the catalogue is large.
        overrides: settings of `answers` in place of the model's own.
        chunk: users of a part, at most.
        shard: i of n, from 0: the parts of this call among those of the job.
        quiet: no progress bar.

    Raises:
        DataError: the model or the dataset cannot be read; `out` is of another job, or cannot be written to.
        SettingsError: a setting is not allowed; the model cannot retrieve; there are too few items for ScaNN.
    """
    if k < 1 or chunk < 1:
        raise SettingsError(f"k={k}, chunk={chunk}: expected at least 1")
    trained = TrainedModel.load(model_folder)
    settings = answering(model_folder, overrides)
    if not settings.ranking.retrieval:
        raise SettingsError(f"{model_folder} has learned to rank alone: it finds no answers by itself")
    folder = dataset_folder or trained.dataset_folder(model_folder)
    if not folder.exists():
        raise DataError(f"{folder} is not there: the model was trained on it. Name a dataset with --dataset.")
    facts = Facts.load(folder)
    files = sequence_files(folder, facts.schema)
    at = _moment(facts, files, at)
    lines, strangers = lines_of(files, users)
    parts = plan(lines, len(strangers), chunk)
    rows = allowed_rows(trained.facts, allow, exclude, filters)
    known = known_of_items(trained, statistics)
    job = BatchFacts(
        space=trained.space,
        dataset=_checksum(
            (folder / SCHEMA_FILE).read_bytes(), *(b"%d" % file.stat().st_size for file in files)
        ),
        users="" if users is None else _checksum(*sorted(str(user).encode() for user in users)),
        k=k,
        at=at,
        chunk=chunk,
        parts=len(parts),
        leave_out=leave_out,
        allowed="" if rows is None else _checksum(rows.tobytes()),
        statistics="" if known is None else _checksum(known.tobytes()),
        answers=settings.answers,
        search=search,
    )
    mine = of_shard(parts, shard)
    job.claim(out)
    to_do = [part for part in mine if not part_path(out, part.number, len(parts)).exists()]
    k = min(k, len(trained.facts.catalogue))
    model = BatchAnswers(
        trained, settings, k, leave_out=leave_out, allowed=rows, statistics=known, search=search
    )
    source = Source(files, facts, strangers)
    users_now = sum(len(part.rows) for part in to_do)
    with counted("answering", users_now, "users", quiet=quiet) as advance:
        for part in to_do:
            asked = source.dataset(part).in_rows_of(trained.facts)
            write_part(part_path(out, part.number, len(parts)), _answers(model, trained.facts, asked, at))
            advance(len(part.rows))
    return Predicted(users_now, len(mine) - len(to_do), len(parts), finish(out, len(parts)), len(strangers))


def _moment(facts: Facts, files: Sequence[Path], at: int | None) -> int | None:
    """When all ask: as wanted, or at the end of the log; None: after their last event."""
    if facts.schema.has_clock:
        return newest_time(files) + 1 if at is None else at
    if at is not None:
        raise SettingsError(
            f"at={at}: the log has positions for times; everybody asks after their last event"
        )
    return None


def _answers(model: BatchAnswers, facts: Facts, users: Dataset, at: int | None) -> dict[str, np.ndarray]:
    """The columns of a part's file."""
    asked, positions = with_next_requests(users, at)
    # What is drawn by lot depends on the user, and not on who else is in the part.
    keys = pd.util.hash_array(asked.sequences.user_id).view(np.int64)
    found = answer_requests(model, asked, positions, keys)
    rows = found["row"]
    user, place = np.nonzero(rows != PADDING_ROW)
    tasks = [name for name in found if name not in ("row", "score")]
    return {
        "user_id": asked.sequences.user_id[user],
        "rank": (place + 1).astype(np.int32),
        "item_id": facts.items.raw(rows[user, place]),
        **{name: found[name][user, place] for name in ("score", *tasks)},
    }


def _checksum(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part + b"\0")
    return digest.hexdigest()[:16]
