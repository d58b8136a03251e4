"""Lists of candidates as the network takes them, and the batches of an epoch that hold them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.tfrec.shown import CANDIDATES, shown_to
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH, CLICK, built
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.ranking_lists import RankingLists
from tfrec.schema import PADDING_ROW


def test_lists_hide_the_ids_of_what_had_no_event_before_their_moment(
    rich_dataset: Callable[..., Dataset],
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    lists = RankingLists.of(impressions, dataset, small(CLICK).ranking)
    found = lists.dense(np.array([3, -1, 0]), CANDIDATES + 1)
    assert found["candidate"][:, -1].tolist() == [PADDING_ROW] * 3
    assert (found["candidate"][1] == PADDING_ROW).all()
    assert found["label.click"].sum(axis=1).tolist() == [1, 0, 1]
    s = dataset.sequences
    for row, number in ((0, 3), (2, 0)):
        begin, end = impressions.offsets[number], impressions.offsets[number + 1]
        assert found["candidate"][row, :-1].tolist() == impressions.item[begin:end].tolist()
        for hidden, item in zip(found["hidden"][row, :-1], impressions.item[begin:end], strict=True):
            assert hidden == (not (s.time[s.item == item] < impressions.time[number]).any())


def test_of_a_longer_list_those_with_a_label_are_kept(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    lists = RankingLists.of(impressions, dataset, small(BOTH).ranking)
    found = lists.dense(np.arange(len(impressions)), 2, np.random.default_rng(0))
    assert (found["label.click"].sum(axis=1) == 1).all()
    assert (found["candidate"] != PADDING_ROW).all()
    # The others stand for those that were left out.
    assert (found["weight"].sum(axis=1) == CANDIDATES).all()
    assert (found["weight"][found["label.click"] > 0] == 1).all()
    assert (found["length"] == CANDIDATES).all()


def test_of_a_longer_list_most_of_which_has_a_label_half_is_without(
    rich_dataset: Callable[..., Dataset],
) -> None:
    """Else a model would learn that nearly everything has one. What is kept stands for what is not."""
    dataset, impressions = shown_to(rich_dataset())
    impressions.labels["click"][:] = np.arange(len(impressions.item)) % CANDIDATES != 0  # all but the first
    lists = RankingLists.of(impressions, dataset, small(CLICK).ranking)
    for seed in range(3):
        found = lists.dense(np.arange(len(impressions)), 2, np.random.default_rng(seed))
        assert found["label.click"].tolist() == [[1, 0]] * len(impressions)
        assert found["weight"].tolist() == [[CANDIDATES - 1, 1]] * len(impressions)
    kept = {tuple(row) for row in lists.dense(np.zeros(50, int), 2, np.random.default_rng(0))["candidate"]}
    assert len(kept) == CANDIDATES - 1
    whole = lists.dense(np.arange(3), 4, np.random.default_rng(0))
    assert whole["label.click"].sum(axis=1).tolist() == [3] * 3
    assert (whole["weight"].sum(axis=1) == CANDIDATES).all()


def test_candidates_count_for_those_that_they_stand_for(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    stands_for = np.where(impressions.labels["click"], 1, 3).astype(np.float32)
    sampled = replace(impressions, stands_for=stands_for)
    lists = RankingLists.of(sampled, dataset, small(BOTH).ranking)
    whole = lists.dense(np.arange(len(sampled)), CANDIDATES, np.random.default_rng(0))
    np.testing.assert_array_equal(whole["weight"], np.where(whole["label.click"] > 0, 1, 3))
    cut = lists.dense(np.arange(len(sampled)), 3, np.random.default_rng(0))
    assert (cut["weight"].sum(axis=1) == 1 + 3 * (CANDIDATES - 1)).all()
    np.testing.assert_array_equal(sampled.take(np.array([2])).weight, stands_for[10:15])


def test_networks_begin_at_the_shares_of_labels(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    click, buy = (impressions.labels[name] for name in ("click", "buy"))
    stands_for = np.where(click, 1, 10).astype(np.float32)
    lists = RankingLists.of(replace(impressions, stands_for=stands_for), dataset, small(BOTH).ranking)
    clicks, bought = click.sum() / stands_for.sum(), buy.sum() / click.sum()
    expected = [np.log(p / (1 - p)) for p in (clicks, bought)]
    np.testing.assert_allclose(lists.log_odds(small(BOTH).ranking), expected, rtol=1e-5)
    model, epochs = built(dataset, impressions, small(BOTH))
    assert epochs.lists is not None
    np.testing.assert_allclose(model.ranker.head.bias, epochs.lists.log_odds(small(BOTH).ranking))


def test_batches_depend_on_the_seed_and_the_epoch_alone(rich_dataset: Callable[..., Dataset]) -> None:
    """A run that was killed goes on with the lists that it would have had."""
    dataset, impressions = shown_to(rich_dataset())
    settings = small(CLICK)
    whole = [*Epochs(dataset, settings, impressions).batches(0)]
    epochs = Epochs(dataset, settings, impressions)
    next(epochs.batches(3))
    again = [*epochs.batches(0)]
    for (x, y), (other_x, other_y) in zip(whole, again, strict=True):
        for name, values in (x | y).items():
            np.testing.assert_array_equal((other_x | other_y)[name], values)
    assert any((y["list.at"] != 0).any() for _, y in whole)


def test_every_train_impression_is_learned_from_and_no_other(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    impressions.statistics["click_6h"][:] = np.repeat(np.arange(len(impressions)), CANDIDATES)
    settings = small(CLICK, "ranking.unknown=0", "training.rows=64", "model.max_length=127")
    epochs = Epochs(dataset, settings, impressions)
    met = [y["list.statistics"][y["list.candidate"] != PADDING_ROW] for _, y in epochs.batches(0)]
    assert set(np.concatenate(met).ravel()) == set(np.flatnonzero(impressions.is_role("train")))


def test_a_share_of_the_impressions_is_drawn_anew_each_epoch(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    impressions.statistics["click_6h"][:] = np.repeat(np.arange(len(impressions)), CANDIDATES)
    settings = small(CLICK, "ranking.share=0.3", "training.rows=64", "model.max_length=127")
    epochs = Epochs(dataset, settings, impressions)

    def met(epoch: int) -> set[float]:
        lists = [y["list.statistics"][y["list.candidate"] != PADDING_ROW] for _, y in epochs.batches(epoch)]
        return set(np.concatenate(lists).ravel().tolist())

    train = np.flatnonzero(impressions.is_role("train"))
    first, second = met(0), met(1)
    assert len(first) == round(0.3 * len(train))
    assert first | second <= set(train.tolist())
    assert first != second
    assert met(0) == first


def test_what_is_new_is_hidden_from_training(rich_dataset: Callable[..., Dataset]) -> None:
    """Before the log began everything was; an event of the same second is none before it."""
    dataset, impressions = shown_to(rich_dataset())
    settings = small(CLICK, "ranking.unknown=0")
    early = replace(impressions, time=impressions.time - 10**9)
    for _, y in Epochs(dataset, settings, early).batches(0):
        assert (y["list.hidden"] == (y["list.candidate"] != PADDING_ROW)).all()
    item = int(dataset.sequences.item[0])
    first = int(dataset.sequences.time[dataset.sequences.item == item].min())
    impressions.item[0] = item
    for moment, hidden in ((first, True), (first + 1, False)):
        impressions.time[0] = moment
        lists = RankingLists.of(impressions, dataset, settings.ranking)
        assert lists.dense(np.array([0]), CANDIDATES)["hidden"][0, 0] == hidden


def test_a_share_is_hidden_besides(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    late = replace(impressions, time=impressions.time + 10**9)  # when nothing is new any more
    for share in (0.0, 0.5, 1.0):
        epochs = Epochs(dataset, small(CLICK, f"ranking.unknown={share}"), late)
        hidden = np.concatenate([y["list.hidden"][y["list.candidate"] > 0] for _, y in epochs.batches(0)])
        assert hidden.mean() == pytest.approx(share, abs=0.1)
