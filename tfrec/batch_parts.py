"""How a batch job is cut into parts, and what says that they belong together.

answers/::

    _batch.json                  `BatchFacts`: of what, for whom and how; a job of others is refused
    part-00003-of-00010.parquet  user_id, rank (from 1), item_id, score, and each task's probability
    _SUCCESS                     when all parts are there

A part is whole or absent.

What begins with `_` or `.` is no part for readers of Parquet folders.
"""

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from tfrec.config_answers import AnswerSettings
from tfrec.errors import DataError, SettingsError
from tfrec.frozen import Frozen
from tfrec.left_out import LeaveOut
from tfrec.servable import Retrieval

FACTS_FILE, SUCCESS_FILE = "_batch.json", "_SUCCESS"


class BatchFacts(Frozen):
    """What the parts of a folder have in common."""

    format_version: int = 1
    space: int = Field(description="number of the trained model")
    dataset: str = Field(description="checksum of its schema")
    users: str = Field(description="checksum of the ids that were asked for; empty: all users")
    k: int
    at: int | None = Field(description="unix seconds of the requests; None: positions for times")
    chunk: int = Field(description="users of a part, at most")
    parts: int
    leave_out: LeaveOut
    allowed: str = Field(description="checksum of the items that may be answered; empty: all")
    statistics: str = Field(description="checksum of what is known of items; empty: nothing")
    answers: AnswerSettings
    search: Retrieval = "exact"

    def claim(self, out: Path) -> None:
        """Writes the facts into a folder, or checks that those there are the same.

        Raises:
            DataError: others are there, or the folder cannot be written to.
        """
        path = out / FACTS_FILE
        try:
            out.mkdir(parents=True, exist_ok=True)
            beside = out / f".{FACTS_FILE}.partial-{uuid.uuid4().hex[:8]}"
            beside.write_text(self.model_dump_json(indent=1), encoding="utf-8")
            try:
                # Of shards that begin at once, one is first; a link never replaces what is there.
                os.link(beside, path)
            except FileExistsError:
                pass
            finally:
                beside.unlink()
            there = BatchFacts.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot write to {out}: {error.strerror}. Check its permissions.") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read: {error}. Name another folder.") from error
        for name in BatchFacts.model_fields:
            mine, theirs = getattr(self, name), getattr(there, name)
            if mine != theirs:
                raise DataError(
                    f"{out} holds parts of other answers: {name} is {theirs}, here it would be {mine}. Name "
                    "another folder, or remove this one."
                )


class Part(NamedTuple):
    """Users that are answered together.

    Attributes:
        number: from 0.
        file: place of the sequences' file; -1: users without events.
        rows: [U] int64 lines of the file, or places among the users without events.
    """

    number: int
    file: int
    rows: np.ndarray


def plan(lines: Sequence[np.ndarray], strangers: int, chunk: int) -> list[Part]:
    """Returns the parts of a job.

    Args:
        lines: of each file, the lines whose users are asked for.
        strangers: users without events.
        chunk: users of a part, at most.
    """
    found: list[Part] = []
    for file, rows in [*enumerate(lines), (-1, np.arange(strangers))]:
        found += [Part(0, file, rows[at : at + chunk]) for at in range(0, len(rows), chunk)]
    return [part._replace(number=number) for number, part in enumerate(found)]


def of_shard(parts: Sequence[Part], shard: tuple[int, int]) -> list[Part]:
    """Returns the parts of shard i of n, neighbours, so that each reads few files.

    Raises:
        SettingsError: there is no such shard.
    """
    place, count = shard
    if not 0 <= place < count:
        raise SettingsError(f"shard {place}/{count}: expected 0/{count} to {count - 1}/{count}")
    begin, end = (len(parts) * at // count for at in (place, place + 1))
    return list(parts[begin:end])


def part_path(out: Path, number: int, parts: int) -> Path:
    """Returns where a part lies."""
    return out / f"part-{number:05d}-of-{parts:05d}.parquet"


def write_part(path: Path, columns: dict[str, Any]) -> None:
    """Writes a part beside its place and renames it.

    Raises:
        DataError: the place cannot be written to; nothing is left behind.
    """
    for left in path.parent.glob(f".{path.name}.partial-*"):
        left.unlink(missing_ok=True)
    beside = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            pq.write_table(pa.table(columns), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise DataError(
            f"writing {path} failed: {error.strerror or error}. Nothing was left behind."
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def finish(out: Path, parts: int) -> bool:
    """Writes `_SUCCESS` where all parts are there; returns whether they are."""
    done = all(part_path(out, number, parts).exists() for number in range(parts))
    if done:
        (out / SUCCESS_FILE).touch()
    return done
