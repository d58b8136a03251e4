"""The requests that a version answers before it answers anybody: they pay for what is slow only once.

As in TensorFlow Serving, they lie with the version as a TFRecord file of PredictionLog messages, and a
version that fails on one of them does not come into service.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.loading import Servable
from serving.requests import read_request, signature_of
from serving.status import ServingError
from tfrec.errors import DataError
from tfrec.servable import WARMUP_FILE

MAX_RECORDS = 1000  # as in TensorFlow Serving


def warm_up(servable: Servable, folder: Path) -> int:
    """Answers the version's warm-up requests, and says how many there were.

    Raises:
        DataError: the file is damaged, or a request cannot be answered.
    """
    import tensorflow as tf

    path = folder / "assets.extra" / WARMUP_FILE
    done = 0
    try:
        for request in warm_up_requests(folder):
            signature = signature_of(servable, request)
            inputs, _ = read_request(request, signature)
            servable.run(signature.name, inputs)
            done += 1
    except (ServingError, DataError, tf.errors.OpError) as error:
        raise DataError(f"{path}: warm-up request {done + 1} fails: {error}") from error
    return done


def warm_up_requests(folder: Path) -> Iterator[Any]:
    """The PredictRequests that lie with a version, at most `MAX_RECORDS`; none where there is no file.

    Raises:
        DataError: a record is no PredictionLog of a Predict call.
        tf.errors.OpError: the file is damaged.
    """
    path = folder / "assets.extra" / WARMUP_FILE
    return itertools.islice(_requests(path), MAX_RECORDS) if path.is_file() else iter(())


def _requests(path: Path) -> Iterator[Any]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    # The thread that tunes a pipeline can wait for good where the clock is set back while it starts.
    options = tf.data.Options()
    options.autotune.enabled = False
    for record in tf.data.TFRecordDataset(str(path)).with_options(options).as_numpy_iterator():
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except DecodeError as error:
            raise DataError(f"it is no PredictionLog: {error}") from error
        if not log.HasField("predict_log"):
            raise DataError(f"expected a predict_log, found {log.WhichOneof('log_type')}")
        yield log.predict_log.request
