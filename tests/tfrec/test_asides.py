"""Asides say what a request in their place would, and change nothing of what stands beside them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tfrec.test_model import model_of, small
from tfrec.asides import Lines
from tfrec.batches import Asides, Rows, pack_windows
from tfrec.config import FUSIONS
from tfrec.dataset import Dataset
from tfrec.model import TwoTowerModel
from tfrec.packing import cut_windows, ranges
from tfrec.sequences import Sequences

ALL_ENCODINGS = ("model.copy_newest=true", "model.encodings=[gap, place, request, recurrence]")


def with_asides(dataset: Dataset, random: np.random.Generator) -> tuple[Rows, Rows, np.ndarray]:
    """Rows without asides, rows with one for each event, drawn in any order, and the event of each aside."""
    s = dataset.sequences
    start, stop = cut_windows(s.offsets, 16)
    source = ranges(start, stop)
    window = np.repeat(np.arange(len(start)), stop - start)
    order = random.permutation(len(source))
    source, window = source[order], window[order]
    before = np.where(source == start[window], -1, source - 1)
    asides = Asides(window, before, s.time[source], s.session[source])
    return pack_windows(s, start, stop, 48), pack_windows(s, start, stop, 48, asides), source


def said(model: TwoTowerModel, rows: Rows, real: np.ndarray, event: np.ndarray) -> dict[str, np.ndarray]:
    """Embeddings, and sums over copies, in the order of events."""
    query = model(rows.inputs)
    order = np.argsort(event)
    copies = np.exp(query.copy_score.numpy()).sum(axis=-1)
    return {"embedding": query.embedding.numpy()[real][order], "copies": copies[real][order]}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_aside_is_a_request(rich_dataset: Callable[..., Dataset], fusion: str) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small(f"model.fusion={fusion}", "model.time_of_day=true", *ALL_ENCODINGS))
    alone, both, source = with_asides(dataset, np.random.default_rng(0))
    expected = said(model, alone, alone.position >= 0, alone.position[alone.position >= 0])
    beside = said(model, both, both.position >= 0, both.position[both.position >= 0])
    aside = said(model, both, both.aside >= 0, source[both.aside[both.aside >= 0]])
    for name, values in expected.items():
        np.testing.assert_allclose(beside[name], values, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(aside[name], values, rtol=1e-4, atol=1e-5)


def test_an_aside_behind_the_last_event_is_a_request(rich_dataset: Callable[..., Dataset]) -> None:
    """The window's last event has no place of its own but that of the aside."""
    dataset = rich_dataset()
    model = model_of(dataset, small(*ALL_ENCODINGS))
    s = dataset.sequences
    start, stop = cut_windows(s.offsets, 16)
    start, stop = start[stop - start > 1], stop[stop - start > 1]
    last = stop - 1
    asides = Asides(np.arange(len(last)), last - 1, s.time[last], s.session[last])
    whole = pack_windows(s, start, stop, 16)
    short = pack_windows(s, start, last, 16, asides)
    is_last = np.isin(whole.position, last)
    expected = said(model, whole, is_last, whole.position[is_last])
    found = said(model, short, short.aside >= 0, last[short.aside[short.aside >= 0]])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)


def test_in_training_terms_are_the_same(rich_dataset: Callable[..., Dataset]) -> None:
    """The pairwise terms of a training step come another way."""
    dataset = rich_dataset()
    model = model_of(dataset, small("model.dropout=0", "model.rules=0"))
    alone, both, _ = with_asides(dataset, np.random.default_rng(0))
    expected, found = (model(rows.inputs, training=True).embedding.numpy() for rows in (alone, both))
    one, other = alone.position[alone.position >= 0], both.position[both.position >= 0]
    np.testing.assert_allclose(
        found[both.position >= 0][np.argsort(other)],
        expected[alone.position >= 0][np.argsort(one)],
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_user_without_events_asks_too(rich_dataset: Callable[..., Dataset]) -> None:
    """A window of asides alone; its request is that of any user's first event."""
    dataset = rich_dataset()
    model = model_of(dataset, small("model.time_of_day=true"))
    s = dataset.sequences
    first = s.offsets[:1]
    none = Asides(np.array([0]), np.array([-1]), s.time[first], s.session[first])
    rows = pack_windows(s, first, first, 4, none)
    assert rows.aside.tolist() == [[0, -1, -1, -1]]
    assert (rows.position == -1).all()
    begun = pack_windows(s, first, first + 1, 4)
    np.testing.assert_allclose(
        model(rows.inputs).embedding[:, 0], model(begun.inputs).embedding[:, 0], rtol=1e-5, atol=1e-6
    )


@given(st.integers(0, 2**31 - 1), st.integers(1, 6))
def test_impressions_see_what_came_strictly_before_them(seed: int, longest: int) -> None:
    """Against a walk through each user's events, whatever the windows.

    Sessions of the log's own ids may lie one in another, so that times fall: what stands behind a later event
    is not seen either.
    """
    random = np.random.default_rng(seed)
    counts = random.integers(0, 6, 3)
    offsets = np.append(0, np.cumsum(counts)).astype(np.int64)
    time = np.concatenate([random.integers(0, 12, n) for n in counts]).astype(np.int64)
    session = np.concatenate([np.arange(n) // 2 for n in counts]).astype(np.int32)
    filled = np.zeros(len(time), np.int32)
    s = Sequences(np.arange(3), offsets, filled, filled, filled, session, time, filled.astype(np.int8))
    asked = int(random.integers(1, 8))
    user, moment = random.integers(-1, 3, asked), random.integers(0, 12, asked)
    lines = Lines.of(s, user, moment, gap_s=3)
    start, stop, asides, impression = lines.cut(*cut_windows(lines.offsets, longest))
    assert sorted(impression) == list(range(asked))
    assert sorted(ranges(start, stop)) == list(range(len(time)))
    assert (stop - start + np.bincount(asides.window, minlength=len(start)) <= longest).all()
    for aside, i in enumerate(impression):
        own = range(offsets[user[i]], offsets[user[i] + 1]) if user[i] >= 0 else []
        seen = [e for e in own if max(time[own[0] : e + 1]) < moment[i]]
        newest = max(seen, default=-1)
        window = asides.window[aside]
        # What lies before the window is not seen, and nothing else is missed.
        assert asides.before[aside] == (newest if newest >= start[window] else -1)
        assert newest < stop[window] or not seen
        expected = session[newest] + (moment[i] - time[newest] > 3) if seen else 0
        assert asides.session[aside] == expected
        assert asides.time[aside] == moment[i]


@given(st.integers(0, 2**31 - 1), st.integers(2, 8), st.integers(1, 4))
def test_windows_for_answers_show_each_impression_the_newest_events(
    seed: int, places: int, most: int
) -> None:
    random = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(random.integers(0, 14, 3))).astype(np.int64)
    filled = np.zeros(offsets[-1], np.int32)
    time = np.concatenate([np.arange(n) for n in np.diff(offsets)]).astype(np.int64)
    s = Sequences(np.arange(3), offsets, filled, filled, filled, filled, time, filled.astype(np.int8))
    asked = int(random.integers(1, 20))
    user, moment = random.integers(-1, 3, asked), random.integers(0, 15, asked)
    lines = Lines.of(s, user, moment, gap_s=3)
    start, stop, asides, impression = lines.windows(s, places, most)
    assert sorted(impression) == list(range(asked))
    assert (stop - start <= places).all()
    assert np.bincount(asides.window, minlength=len(start)).max() <= most
    for aside, i in enumerate(impression):
        window, before = asides.window[aside], asides.before[aside]
        begin = offsets[user[i]] if user[i] >= 0 else len(time)
        came = min(moment[i], np.diff(offsets)[user[i]]) if user[i] >= 0 else 0
        assert before == (begin + came - 1 if came else -1)
        if came:
            assert start[window] <= before < stop[window]
            assert before + 1 - start[window] >= min(came, places // 2)
