"""What the figures of training speed are made of."""

import sys

import pytest

from benchmarks.memory import peak_mb
from benchmarks.places import PEERS_PYTHON
from benchmarks.processes import in_fresh_process, run_json
from benchmarks.speed_cases import CASES, FEED_FORWARD, WIDTH, Case
from benchmarks.training_speed import events_per_s, seconds_an_epoch, summary
from tfrec.settings_file import load_settings

OURS = {
    "events": 9000,
    "flops": 8_000_000_000,
    "seconds": 3.0,
    "steps": 10,
    "steps_an_epoch": 100,
    "pack_s": 10.0,
    "peak_mb": 900,
}
RECTOOLS = {"events": 1000, "seconds": 5.0, "steps": 10, "steps_an_epoch": 50, "peak_mb": 1500}


def test_packing_is_paid_for_by_its_share() -> None:
    assert events_per_s(OURS) == 9000 / (3 + 1)
    assert seconds_an_epoch(OURS) == pytest.approx(30 + 10)
    assert events_per_s(RECTOOLS) == 200
    assert seconds_an_epoch(RECTOOLS) == 25


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    fast = RECTOOLS | {"seconds": 2.5}
    busy = RECTOOLS | {"seconds": 10.0, "peak_mb": 1700}
    rounds = [{"ours": OURS, "tuned": OURS, "rectools": peer} for peer in (RECTOOLS, fast, busy)]
    found = summary(rounds, peak=1e11)
    assert found["ours_events_per_s"] == 2250
    assert found["rectools_events_per_s"] == 200
    assert found["ratios"] == [11.25, 5.62, 22.5]
    assert found["ratio"] == 11.25
    assert found["peak_share"] == 0.02
    assert found["peak_mb"] == 900
    assert found["rectools_peak_mb"] == 1700


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_ours_is_a_valid_setting_that_does_no_less_work(case: Case) -> None:
    settings = load_settings(None, case.ours())
    assert settings.model.dimensions == WIDTH
    assert settings.model.max_length == case.length
    assert settings.row_length > case.length
    assert 3 * WIDTH * FEED_FORWARD >= 2 * WIDTH**2
    if case.negatives is not None:
        assert settings.loss.uniform + settings.loss.in_batch - 1 >= case.negatives
        assert str(case.negatives) in case.rectools()


def test_a_program_of_its_own_is_heard_by_its_last_line() -> None:
    program = "print('chatter'); print('{\"a\": 1}')"
    found, memory = run_json([sys.executable, "-c", program])
    assert found == {"a": 1}
    assert memory > 1
    with pytest.raises(SystemExit, match="exit code 3"):
        run_json([sys.executable, "-c", "import sys; sys.exit(3)"])


def test_a_fresh_process_has_memory_of_its_own_and_its_errors_come_through() -> None:
    held = bytearray(300 * 2**20)
    assert in_fresh_process(peak_mb) < peak_mb()
    assert len(held)
    with pytest.raises(ZeroDivisionError):
        in_fresh_process(divmod, 1, 0)


@pytest.mark.skipif(not PEERS_PYTHON.exists(), reason="`make peers` creates the environment of RecTools")
def test_events_are_counted_as_rectools_cuts_its_sequences() -> None:
    program = """
import argparse, json
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset
from benchmarks.rectools_model import COLUMNS, add_options, build, clock_of
parser = argparse.ArgumentParser()
add_options(parser)
options = parser.parse_args(
    ["beauty", "--length", "4", "--dim", "4", "--blocks", "1", "--heads", "1", "--batch", "2"])
lengths = enumerate((1, 2, 4, 9))
rows = [(user, item, 1.0, pd.Timestamp(item, unit="s")) for user, n in lengths for item in range(n)]
model = build(options)
for _ in range(2):
    model.fit_partial(Dataset.construct(pd.DataFrame(rows, columns=COLUMNS)), min_epochs=1, max_epochs=1)
clock = clock_of(model)
print(json.dumps({"events": clock.events, "sequences": clock.sequences, "batches": len(clock.ends)}))
"""
    found, _ = run_json([PEERS_PYTHON, "-c", program])
    # Two epochs of sequences of 2, 4 and 5 (of 9) events; one event alone is nothing to learn from.
    assert found == {"events": 2 * (2 + 4 + 5), "sequences": 6, "batches": 4}
