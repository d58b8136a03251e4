"""Formulas: what they compute, and that they are arithmetic alone."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import SettingsError
from tfrec.formula import Formula
from tfrec.settings_file import load_settings

NAMES = ("retrieval", "click", "order")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("click", 0.5),
        ("click * order ** 0.5", 0.5 * 0.25**0.5),
        ("(1 + 2 * retrieval) / (click + -order)", (1 + 2 * 0.75) / (0.5 - 0.25)),
        ("3", None),
    ],
)
def test_arithmetic_of_names(text: str, expected: float | None) -> None:
    values = {"retrieval": 0.75, "click": 0.5, "order": 0.25}
    if expected is None:
        with pytest.raises(ValueError, match="speaks of none of click, order, retrieval"):
            Formula(text, NAMES)
        return
    formula = Formula(text, NAMES)
    assert formula(values) == pytest.approx(expected)
    arrays = {name: np.full((2, 3), value, np.float32) for name, value in values.items()}
    np.testing.assert_allclose(formula(arrays), np.full((2, 3), expected), rtol=1e-6)
    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    np.testing.assert_allclose(formula(tensors).numpy(), np.full((2, 3), expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("click *", "is no formula: invalid syntax"),
        ("like * click", "like is none of click, order, retrieval"),
        ("__import__('os')", "is none of names, numbers"),
        ("click.__class__", "is none of names, numbers"),
        ("click if order else 1", "is none of names, numbers"),
        ("[click]", "is none of names, numbers"),
        ("click * 'a'", "is none of names, numbers"),
        ("click @ order", "is none of names, numbers"),
        ("click % order", "is none of names, numbers"),
        ("click + 1 / 0", "cannot be computed"),
        ("click * 2 ** 99999", "cannot be computed"),
        ("click * 1e400", "a number is too large"),
        (f"click * {10**400}", "a number is too large"),
    ],
)
def test_what_is_no_arithmetic_of_the_tasks_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Formula(text, NAMES)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["answers.formula=click"], "answers.formula needs ranking.tasks to speak of"),
        (
            ["ranking.tasks={click: {label: click}}", "answers.formula=clicks * retrieval"],
            "clicks is none of click, retrieval",
        ),
        (["ranking.tasks={retrieval: {label: click}}"], "and not item, item_id, score, next_item, retrieval"),
        (["ranking.tasks={a-b: {label: click}}"], "tasks.a-b: a task is named by letters"),
        (["answers.at_most={colour: 0}"], "answers.at_most"),
    ],
)
def test_settings_name_what_is_wrong(overrides: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        load_settings(None, overrides)


def test_without_a_formula_answers_follow_retrieval_and_the_first_task() -> None:
    tasks = "ranking.tasks={click: {label: click}, order: {label: buy}}"
    settings = load_settings(None, [tasks])
    assert settings.formula is not None
    assert settings.formula.text == "retrieval * click"
    assert load_settings(None).formula is None
