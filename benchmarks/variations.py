"""The named variations of a dataset's tuned settings, as `ablations.yaml` lists them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from benchmarks.places import DATASETS
from tfrec.config import Settings
from tfrec.errors import SettingsError
from tfrec.settings_file import load_settings

FILE = Path(__file__).with_name("ablations.yaml")


class Variation(BaseModel):
    """Overrides of the tuned settings.

    Attributes:
        name: what was changed, as people read it; no other variation has it.
        set: the overrides, each as `section.key=value`.
        words: columns of items, text whose words become a feature.
        datasets: where it is tried.
        not_claimed: datasets where its figure is shown, but never claimed.
        section: the heading under which it stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    set: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    datasets: tuple[str, ...] = DATASETS
    not_claimed: tuple[str, ...] = ()
    section: str = ""


class Base(Variation):
    """The tuned settings as they are, which all variations are compared with."""

    name: str = "tuned settings"
    section: str = "base"


BASE = Base()


def load_variations(path: Path = FILE) -> list[Variation]:
    """Reads sections of variations; `BASE` comes first.

    Raises:
        SettingsError: the file has another form, a dataset is unknown, or two variations share a name.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        sections = TypeAdapter(dict[str, list[Variation]]).validate_python(tree)
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    found: list[Variation] = [BASE]
    for section, variations in sections.items():
        found += [variation.model_copy(update={"section": section}) for variation in variations]
    names = [variation.name for variation in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"{path}: two variations are named {', '.join(twice)}; names must differ")
    for variation in found:
        if variation is not BASE and not (variation.set or variation.words):
            raise SettingsError(f"{path}: {variation.name!r} changes nothing: expected `set` or `words`")
        unknown = sorted({*variation.datasets, *variation.not_claimed} - {*DATASETS})
        if unknown:
            raise SettingsError(
                f"{path}: {variation.name!r} names the dataset {unknown[0]!r}; known: {', '.join(DATASETS)}"
            )
    return found


def chosen(variations: Sequence[Variation], dataset: str, only: Sequence[str]) -> list[Variation]:
    """Returns the variations to try on a dataset, in their order; the base is always among them.

    Args:
        variations: all there are.
        dataset: where.
        only: names or sections; empty: all.

    Raises:
        SettingsError: nothing has one of the names on this dataset.
    """
    here = [variation for variation in variations if dataset in variation.datasets]
    known = {v.name for v in here} | {v.section for v in here}
    unknown = [name for name in only if name not in known]
    if unknown:
        raise SettingsError(
            f"no variation or section {unknown[0]!r} for {dataset}; known: {', '.join(sorted(known))}"
        )
    wanted = {BASE.name, *(only or known)}
    return [v for v in here if v.name in wanted or v.section in wanted]


def without_seed(settings: Settings | Mapping[str, Any]) -> dict[str, Any]:
    """Returns all settings but the seed; a recorded form gets the defaults that it does not know.

    Raises:
        ValidationError: a recorded setting is known no longer.
    """
    tree = settings if isinstance(settings, Mapping) else settings.model_dump(mode="json")
    return Settings.model_validate(tree).model_dump(mode="json", exclude={"seed"})


def settings_key(recorded: Mapping[str, Any]) -> str:
    """Returns what tells recorded settings from others, whatever their seed and the settings new since.

    What changes no training is left out: answers of a servable, and ranking where it has no tasks.
    """
    try:
        tree = without_seed(recorded)
    except ValidationError:
        tree = {key: value for key, value in recorded.items() if key != "seed"}
    some = tree.get("ranking", {}).get("tasks")
    told = {key: value for key, value in tree.items() if key != "answers" and (some or key != "ranking")}
    return json.dumps(told, sort_keys=True)


def is_recorded(line: Mapping[str, Any], dataset: str, variation: Variation, base: Settings) -> bool:
    """Whether a recorded line is of this variation, with the seed and the other settings of `base`."""
    same = (line["dataset"], line["name"], tuple(line["overrides"]), line["seed"])
    if same != (dataset, variation.name, variation.set, base.seed):
        return False
    return settings_key(line["base"]) == settings_key(without_seed(base))


def left_to_do(
    lines: Iterable[Mapping[str, Any]], dataset: str, variations: Sequence[Variation], base: Settings
) -> list[Variation]:
    """Returns the variations that no line has recorded."""
    done = list(lines)
    return [v for v in variations if not any(is_recorded(line, dataset, v, base) for line in done)]


def settings_of(config: Path, variation: Variation, base_overrides: Sequence[str]) -> Settings:
    """Returns the settings of a file with the base's overrides, then those of the variation.

    Raises:
        SettingsError: an override is not allowed; the variation is named.
    """
    try:
        return load_settings(config, [*base_overrides, *variation.set])
    except SettingsError as error:
        raise SettingsError(f"{variation.name}: {error}") from error
