"""What the command line says, as the options of `data_prep`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from tfrec.errors import SettingsError
from tfrec.schema import Counts

if TYPE_CHECKING:
    from data_prep import Recipe

Options = TypeVar("Options", bound=BaseModel)
# Options of the command whose field has another name.
OTHER_NAMES = {"features": "--feature", "items_file": "--items", "session_gap_s": "--session-gap"}


def begun(onto: Path | None, source: str | None, paths: Sequence[Path]) -> Recipe:
    """What is read and how, but for the command line's own options: a source's defaults, or a recipe.

    Raises:
        DataError: `onto` is no dataset that can grow.
        SettingsError: there is no such source, or it is not that of `onto`.
    """
    from data_prep import Recipe
    from data_prep.sources import source_named

    if onto is None:
        named = source or "log"
        return Recipe(source=named, paths=tuple(paths), options=source_named(named).defaults)
    older = Recipe.load(onto)
    if source not in (None, older.source):
        raise SettingsError(f"--source {source}: {onto} is of source {older.source}, which --onto keeps")
    return older.model_copy(update={"paths": (*older.paths, *paths)})


def grown(before: Counts, now: Counts) -> str:
    """What a longer log added, for people."""
    more = {name: getattr(now, name) - getattr(before, name) for name in ("events", "users", "items")}
    return "grown by " + ", ".join(f"{number:,} {name}" for name, number in more.items())


def impressions_of(file: Path | None, **given: Any) -> dict[str, Any] | None:
    """Options of impressions; None without a file of them."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if file is None and chosen:
        raise SettingsError("options of impressions were given without --impressions FILE")
    return None if file is None else {"file": file, **chosen}


def sampled_of(
    negatives: int | None, labels: dict[str, str] | None, values: dict[str, str] | None
) -> dict[str, Any] | None:
    """Options of impressions that are made of the log; None where they are not asked for."""
    if negatives is None:
        return None
    types = {name: tuple(text.split("|")) for name, text in (labels or {}).items()}
    return {"negatives": negatives, "labels": types, "values": values or {}}


def named(option: str, values: list[str] | None) -> dict[str, str] | None:
    """`NAME=COLUMN` as a mapping."""
    if not values:
        return None
    split = [value.partition("=") for value in values]
    if any(not name or not column for name, _, column in split):
        raise SettingsError(f"{option} {values!r}: expected NAME=COLUMN")
    return {name: column for name, _, column in split}


def opposite(flag: bool | None) -> bool | None:
    """The opposite of a flag; None where it was not given, which leaves a source's default."""
    return None if flag is None else not flag


def pairs(option: str, values: list[str] | None) -> dict[str, str] | None:
    """`NAME:kind` as a mapping; `auto` where no kind is given."""
    if not values:
        return None
    split = [value.rpartition(":") if ":" in value else (value, ":", "auto") for value in values]
    if any(not name for name, _, _ in split):
        raise SettingsError(f"{option} {values!r}: expected NAME or NAME:kind")
    return {name: kind for name, _, kind in split}


def valid(kind: type[Options], values: dict[str, Any]) -> Options:
    """Options, or an error that names the one of the command line."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # of several options together
            raise SettingsError(first["msg"]) from error
        field = str(first["loc"][0])
        name = OTHER_NAMES.get(field, "--" + field.replace("_", "-"))
        raise SettingsError(f"{name}: {first['msg']} (found {first['input']!r})") from error
