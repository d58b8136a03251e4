"""Settings of a run in a YAML file, and what is wrong with one."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ValidationError

from tfrec.config import Settings
from tfrec.errors import SettingsError

Override = Annotated[str, "a.b=value"]


def load_settings(path: Path | None = None, overrides: Sequence[Override] = ()) -> Settings:
    """Reads settings from a YAML file and lays the overrides over them.

    Args:
        path: the file; None for the defaults.
        overrides: `section.key=value`, the value in YAML (`training.epochs=3`).

    Raises:
        SettingsError: the file is unreadable, or a key or value is not allowed.
    """
    where = str(path) if path else "settings"
    tree = _read(path) if path else {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise SettingsError(f"--set {override!r}: expected key=value, as in --set training.epochs=3")
        _put(tree, key.strip().split("."), yaml.safe_load(value), override)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(f"{where}: " + "; ".join(_explain(e) for e in error.errors())) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} is no readable YAML file: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: expected keys and values, found {type(tree).__name__}")
    return tree


def _put(tree: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"--set {override!r}: {key} is a value, not a section")
    tree[keys[-1]] = value


def known_keys() -> list[str]:
    """Every setting as `section.key`."""
    defaults = Settings().model_dump()
    return [
        f"{section}.{key}" if isinstance(value, dict) else section
        for section, value in defaults.items()
        for key in (value if isinstance(value, dict) else [section])
    ]


def _explain(error: Any) -> str:
    """One finding of pydantic, in the words of the file."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        found = "" if isinstance(error["input"], dict) else f" (found {error['input']!r})"
        return f"{key}: {error['msg']}{found}" if key else f"{error['msg'].removeprefix('Value error, ')}"
    # A misspelt key lies near by its last word, whatever section it was put in; of two, the first is meant.
    names = [*Settings.model_fields, *known_keys()]
    by_last = {name.rsplit(".", 1)[-1]: name for name in reversed(names)}
    near = difflib.get_close_matches(key.rsplit(".", 1)[-1], by_last, n=1, cutoff=0.4)
    return f"unknown setting {key}" + (f"; the nearest known one is {by_last[near[0]]}" if near else "")
