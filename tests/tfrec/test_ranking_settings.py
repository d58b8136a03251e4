"""Settings of ranking that contradict themselves, or what a dataset has."""

from collections.abc import Callable

import pytest

from tests.tfrec.shown import shown_to
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import CLICK
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec


def test_what_the_dataset_has_not_is_refused(rich_dataset: Callable[..., Dataset]) -> None:
    plain = rich_dataset()
    dataset, _ = shown_to(plain)
    with pytest.raises(SettingsError, match=r"the dataset has none\. Prepare its log with --impressions"):
        ModelSpec.of(small(CLICK), plain)
    with pytest.raises(SettingsError, match=r"tasks.like.label: .* no label 'liked'; its .* click, buy"):
        ModelSpec.of(small("ranking.tasks={like: {label: liked}}"), dataset)
    price = "ranking.tasks={a: {label: click}, b: {label: price, kind: regression}}"
    with pytest.raises(SettingsError, match=r"no value 'price'; its values are dwell"):
        ModelSpec.of(small(price), dataset)
    with pytest.raises(SettingsError, match=r"tasks.a.strength: the dataset has no value 'click'"):
        ModelSpec.of(small("ranking.tasks={a: {label: click, strength: click}}"), dataset)
    with pytest.raises(SettingsError, match="no statistic 'ctr'; it has click_6h"):
        ModelSpec.of(small(CLICK, "ranking.statistics=[ctr]"), dataset)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("ranking.tasks={order: {label: buy, given: click}}", "given='click' is none of the tasks order"),
        ("ranking.tasks={a: {label: x, given: b}, b: {label: y, given: a}}", "is given itself"),
        ("ranking.retrieval=false", "leaves nothing to learn"),
        ("ranking.tasks={a: {label: x, kind: regression}}", "the first one .* must be binary"),
        (
            "ranking.tasks={a: {label: x}, b: {label: y, kind: regression, given: a}}",
            "`given` and `strength` are of binary tasks",
        ),
        (
            "ranking.tasks={a: {label: x}, b: {label: y, kind: regression}, c: {label: z, given: b}}",
            "given='b' is no binary task",
        ),
        ("ranking.experts=4", "experts need sharing=mmoe or sharing=ple"),
        ("ranking.sharing=mmoe", "needs at least two tasks"),
        ("ranking.expert_levels=2", "needs sharing=ple"),
        (
            "ranking={sharing: mmoe, experts: 1, tasks: {a: {label: x}, b: {label: y}}}",
            "a gate would weigh a single one",
        ),
        ("ranking.balance=uncertainty", "needs more than one loss"),
        ("ranking={balance: uncertainty, weight: 2}", "leave `weight` out"),
        *(
            (setting, f"ranking.tasks need {setting.partition('=')[0]}=")
            for setting in (
                "model.history=false",
                "model.rotary=true",
                "augmentation.reorder=0.1",
                "augmentation.cut_at_sessions=true",
                "training.pretraining_epochs=1",
            )
        ),
    ],
)
def test_settings_that_contradict_themselves_are_refused(override: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(None, [override] if override.startswith("ranking") else [CLICK, override])
