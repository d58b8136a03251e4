import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.loading import load_servable
from serving.server import load_and_warm_up
from serving.warmup import warm_up
from tfrec.errors import DataError
from tfrec.servable import WARMUP_FILE


@pytest.fixture
def version(int_folder: Path, tmp_path: Path) -> Path:
    """A version of the test's own."""
    return Path(shutil.copytree(int_folder / "1", tmp_path / "1"))


def write_records(version: Path, *records: bytes) -> None:
    with tf.io.TFRecordWriter(str(version / "assets.extra" / WARMUP_FILE)) as writer:
        for record in records:
            writer.write(record)


def test_every_request_is_answered_before_the_version_serves(
    version: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "tfrec.serving"):
        load_and_warm_up(version)
    assert "has answered 3 warm-up requests" in caplog.text


def test_a_version_without_requests_needs_no_warm_up(version: Path) -> None:
    shutil.rmtree(version / "assets.extra")
    assert warm_up(load_servable(version), version) == 0


def test_the_number_of_requests_is_bounded(
    version: Path, sequences: Callable[..., Any], request_of: Callable[..., Any]
) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request_of(sequences([[101]])))
    write_records(version, *[log.SerializeToString()] * 1001)
    assert warm_up(load_servable(version), version) == 1000


def test_a_request_that_the_version_does_not_take_keeps_it_out(
    version: Path, sequences: Callable[..., Any], request_of: Callable[..., Any]
) -> None:
    inputs = sequences([[101]])
    good, bad = prediction_log_pb2.PredictionLog(), prediction_log_pb2.PredictionLog()
    good.predict_log.request.CopyFrom(request_of(inputs))
    del inputs["length"]
    bad.predict_log.request.CopyFrom(request_of(inputs))
    write_records(version, good.SerializeToString(), bad.SerializeToString())
    with pytest.raises(DataError, match=r"warm-up request 2 fails: .*Missing but required: \{length\}"):
        load_and_warm_up(version)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"\xff\xff", "it is no PredictionLog"),
        (b"", "expected a predict_log, found None"),
    ],
)
def test_a_record_of_another_kind_keeps_it_out(version: Path, record: bytes, text: str) -> None:
    write_records(version, record)
    with pytest.raises(DataError, match=text):
        load_and_warm_up(version)


def test_a_damaged_file_keeps_it_out(version: Path) -> None:
    path = version / "assets.extra" / WARMUP_FILE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{WARMUP_FILE}: warm-up request 3 fails"):
        load_and_warm_up(version)
