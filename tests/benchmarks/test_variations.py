"""The variations of the ablation are ones that can be trained, and none is trained twice."""

import json
from pathlib import Path

import pytest

from benchmarks.places import CONFIGS, DATASETS
from benchmarks.variations import (
    BASE,
    Variation,
    chosen,
    is_recorded,
    left_to_do,
    load_variations,
    settings_of,
    without_seed,
)
from tfrec.config import Settings
from tfrec.errors import SettingsError
from tfrec.settings_file import load_settings

COPIES = Variation(name="no copies", set=("model.copy_scores=false",), section="repeats")
DEEP = Variation(name="deep", set=("model.blocks=4",), datasets=("beauty",), section="block")


def line_of(variation: Variation, base: Settings, dataset: str = "ebnerd") -> dict[str, object]:
    line = {
        "dataset": dataset,
        "name": variation.name,
        "overrides": variation.set,
        "seed": base.seed,
        "base": without_seed(base),
    }
    return json.loads(json.dumps(line))


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_variation_changes_a_valid_setting_of_each_of_its_datasets(dataset: str) -> None:
    config = CONFIGS / f"{dataset}.yaml"
    variations = chosen(load_variations(), dataset, [])
    assert variations[0] == BASE
    assert len(variations) > 10
    assert settings_of(config, BASE, ["seed=3"]) == load_settings(config, ["seed=3"])
    for variation in variations[1:]:
        differs = settings_of(config, variation, []) != load_settings(config)
        assert differs or variation.words, variation.name


def test_time_of_day_is_no_claim_where_the_split_is_by_user() -> None:
    for variation in load_variations():
        if "model.time_of_day=true" in variation.set:
            assert set(variation.datasets) - {"completejourney"} <= set(variation.not_claimed)


def test_a_name_or_a_section_chooses_and_the_base_is_always_there() -> None:
    variations = [BASE, COPIES, DEEP]
    assert chosen(variations, "beauty", ["no copies"]) == [BASE, COPIES]
    assert chosen(variations, "beauty", ["block"]) == [BASE, DEEP]
    assert chosen(variations, "ebnerd", []) == [BASE, COPIES]
    with pytest.raises(SettingsError, match="no variation or section 'block' for ebnerd"):
        chosen(variations, "ebnerd", ["block"])


def test_recorded_lines_are_not_trained_again() -> None:
    base = Settings()
    lines = [line_of(BASE, base), line_of(DEEP, base, "beauty")]
    assert left_to_do(lines, "ebnerd", [BASE, COPIES], base) == [COPIES]
    assert left_to_do(lines, "beauty", [BASE, DEEP], base) == [BASE]
    assert left_to_do([], "ebnerd", [BASE, COPIES], base) == [BASE, COPIES]


def test_another_seed_base_or_override_is_another_line() -> None:
    base = load_settings(None, ["model.blocks=3"])
    line = line_of(COPIES, base)
    assert is_recorded(line, "ebnerd", COPIES, base)
    assert not is_recorded(line, "ebnerd", COPIES, base.model_copy(update={"seed": 2}))
    assert not is_recorded(line, "ebnerd", COPIES, Settings())
    assert not is_recorded(line, "ebnerd", COPIES.model_copy(update={"set": ("model.rotary=true",)}), base)


def test_a_setting_that_is_new_since_does_not_make_a_line_another() -> None:
    base = Settings()
    line = line_of(COPIES, base)
    older = json.loads(json.dumps(line))
    del older["base"]["loss"]["temperature"]
    assert is_recorded(older, "ebnerd", COPIES, base)
    older["base"]["loss"]["gone_since"] = 1
    assert not is_recorded(older, "ebnerd", COPIES, base)


def test_settings_that_change_no_training_do_not_make_a_line_another() -> None:
    base = Settings()
    line = line_of(COPIES, load_settings(None, ["answers.diversity=0.5", "ranking.list_blocks=1"]))
    assert is_recorded(line, "ebnerd", COPIES, base)
    task = "ranking.tasks={click: {label: click}}"
    line = line_of(COPIES, load_settings(None, [task, "ranking.list_blocks=1"]))
    assert not is_recorded(line, "ebnerd", COPIES, load_settings(None, [task]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block:\n  - {name: a, set: [model.blocks=1]}\n  - {name: a, set: [model.blocks=2]}", "are named a"),
        ("block:\n  - {name: a, set: [model.blocks=1], datasets: [netflix]}", "names the dataset 'netflix'"),
        ("block:\n  - {name: a}", "changes nothing"),
        ("block:\n  - {name: a, set: []}", "changes nothing"),
        ("- a", "valid dictionary"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ablations.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        load_variations(path)


def test_an_override_that_is_not_allowed_names_its_variation() -> None:
    wrong = Variation(name="wide", set=("model.width=3",))
    with pytest.raises(SettingsError, match=r"wide: .*unknown setting model\.width"):
        settings_of(CONFIGS / "beauty.yaml", wrong, [])
