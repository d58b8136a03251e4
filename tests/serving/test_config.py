"""What TensorFlow Serving reads from serving/config, parsed by its own messages."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.settings import BatchSettings
from tests.serving.tf_serving_messages import messages
from tfrec.warmup import BATCH_SIZES

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "serving" / "config"
MODELS = [CONFIG / "models.config", ROOT / "k8s" / "overlays" / "canary" / "models.config"]


def parsed(path: Path, message: Any) -> Any:
    """A file in the text form of a message; a field that the message does not have is an error."""
    return text_format.Parse(path.read_text(encoding="utf-8"), message)


@pytest.fixture(scope="module")
def batching() -> Any:
    return parsed(CONFIG / "batching.config", messages()["BatchingParameters"]())


@pytest.mark.parametrize("path", MODELS, ids=["base", "canary"])
def test_labels_name_versions_that_are_loaded(path: Path) -> None:
    """TensorFlow Serving does not start where a label names another one."""
    config = parsed(path, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert model.model_platform == "tensorflow"
    assert model.base_path == f"/models/{model.name}"
    versions = model.model_version_policy.specific.versions
    assert len(set(versions)) == len(versions) > 0
    assert set(model.version_labels.values()) == set(versions)
    assert set(model.version_labels) <= {"stable", "canary"}


def test_the_largest_batch_takes_every_warmup_request(batching: Any) -> None:
    """A version whose warm-up request is refused would not load."""
    assert batching.max_batch_size.value >= max(BATCH_SIZES)
    assert set(BATCH_SIZES) <= set(batching.allowed_batch_sizes)


def test_batches_are_those_of_the_embedded_server(batching: Any) -> None:
    sizes = list(batching.allowed_batch_sizes)
    settings = BatchSettings(max_batch_size=batching.max_batch_size.value)
    assert sizes == sorted({settings.allowed_size(rows) for rows in range(1, settings.max_batch_size + 1)})
    assert sizes[-1] == batching.max_batch_size.value  # TensorFlow Serving insists on it
    assert batching.batch_timeout_micros.value == settings.batch_timeout_us
    users = batching.max_enqueued_batches.value * batching.max_batch_size.value
    assert users == settings.max_enqueued


def test_requests_of_unlike_lengths_can_share_a_batch(batching: Any) -> None:
    assert batching.pad_variable_length_inputs


def test_metrics_are_for_prometheus() -> None:
    config = parsed(CONFIG / "monitoring.config", messages()["MonitoringConfig"]())
    assert config.prometheus_config.enable
    assert config.prometheus_config.path.startswith("/")


def test_tls_asks_callers_who_they_are_and_holds_no_key() -> None:
    config = parsed(CONFIG / "ssl.config", messages()["SSLConfig"]())
    assert config.client_verify
    assert config.server_key == ""
