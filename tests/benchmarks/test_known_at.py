"""What is counted for any candidates is what preparation counts for impressions."""

from pathlib import Path

import numpy as np

import data_prep
from benchmarks.known_at import KnownAt
from data_prep import PrepareOptions
from tests.data_prep.conftest import QUIET, _shop_log
from tfrec.dataset import Dataset
from tfrec.impressions import Impressions


def test_statistics_are_those_of_preparation(tmp_path: Path) -> None:
    log = _shop_log(users=5)
    log.assign(did=np.where(np.arange(len(log)) % 4 == 3, "buy", "view")).to_csv(
        tmp_path / "log.csv", index=False
    )
    options = PrepareOptions.model_validate({"event": "did", "sampled_impressions": {"negatives": 4}})
    data_prep.prepare("log", [tmp_path / "log.csv"], tmp_path / "dataset", options, console=QUIET)
    dataset = Dataset.load(tmp_path / "dataset")
    shown, s = Impressions.load(tmp_path / "dataset", dataset), dataset.sequences
    known = KnownAt(dataset, tuple(shown.statistics))
    checked = 0
    for number in range(len(shown)):
        own = slice(shown.offsets[number], shown.offsets[number + 1])
        at = np.flatnonzero((s.user_of_event == shown.user[number]) & (s.time == shown.time[number]))
        found = known(shown.item[own][None], at[:1])[0]
        for place, (name, values) in enumerate(shown.statistics.items()):
            in_catalogue = shown.item[own] > 1
            np.testing.assert_allclose(found[in_catalogue, place], values[own][in_catalogue], err_msg=name)
            checked += int(np.nan_to_num(found[in_catalogue, place]).astype(bool).sum())
    assert checked > 100
