"""What a server under real requests tells Prometheus."""

import json
import socket
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.metrics import Metrics, MetricsServer
from serving.server import Server, ServerSettings, running
from serving.settings import BatchSettings
from tests.serving.callers import Caller
from tests.serving.stage import Stage
from tfrec.errors import SettingsError

DASHBOARD = Path(__file__).parents[2] / "serving" / "config" / "grafana.json"


@pytest.fixture
def server(stage: Stage) -> Iterator[Server]:
    """One worker, which the stage can hold."""
    settings = ServerSettings(stage.folder, port=0, batching=BatchSettings(workers=1))
    with running(settings) as server:
        yield server


@pytest.fixture
def caller(server: Server, connect: Callable[..., Caller]) -> Caller:
    return connect(server.port)


def value(server: Server, sample: str, /, **labels: str) -> float | None:
    return server.metrics.registry.get_sample_value(sample, labels)


def requests(server: Server, method: str, signature: str, code: str) -> float:
    labels = {"method": method, "signature": signature, "code": code}
    return value(server, "tfrec_requests_total", **labels) or 0


def test_requests_are_counted_by_method_signature_and_code(
    server: Server,
    caller: Caller,
    stage: Stage,
    sequences: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    caller.predict(sequences([[101]]), signature="recommend")
    caller.predict(sequences([[101], [102]]), signature="recommend")
    caller.predict(sequences([[101]], candidates=[[101]]), signature="rank")
    caller.refusal(sequences([[101]], lists=False), signature="recommend")
    caller.refusal(sequences([[101]]), signature="a caller's mistake")
    caller.refusal(sequences([[101]]), name="shop")
    caller.states()
    eventually(lambda: requests(server, "GetModelStatus", "", "OK") == 1)
    assert requests(server, "Predict", "recommend", "OK") == 2
    assert requests(server, "Predict", "rank", "OK") == 1
    assert requests(server, "Predict", "recommend", "INVALID_ARGUMENT") == 1
    assert requests(server, "Predict", "", "FAILED_PRECONDITION") == 1
    assert requests(server, "Predict", "", "NOT_FOUND") == 1
    assert value(server, "tfrec_request_seconds_count", signature="recommend") == 2
    assert value(server, "tfrec_request_seconds_count", signature="rank") == 1
    assert value(server, "tfrec_requests_running") == 0
    # What callers make up makes no series.
    text = [str(family.samples) for family in server.metrics.registry.collect()]
    assert "mistake" not in "".join(text)


def test_bytes_that_are_no_message_and_failures_are_counted(
    server: Server, caller: Caller, stage: Stage, eventually: Callable[..., None]
) -> None:
    call = caller.channel.unary_unary("/tensorflow.serving.PredictionService/Predict").future(b"\xff")
    assert call.code().name == "INVALID_ARGUMENT"
    broken = caller.prediction.Predict.future(stage.request("break"))
    assert broken.code().name == "INTERNAL"
    eventually(lambda: requests(server, "Predict", "serving_default", "INTERNAL") == 1)
    assert requests(server, "Predict", "", "INVALID_ARGUMENT") == 1
    assert value(server, "tfrec_request_seconds_count", signature="serving_default") is None


def test_queue_stages_and_batches(
    server: Server, caller: Caller, stage: Stage, eventually: Callable[..., None]
) -> None:
    with stage.held(caller) as held:
        calls = [caller.prediction.Predict.future(stage.request("view", users)) for users in (3, 1)]
        eventually(lambda: server.batcher.waiting == 4)
        assert value(server, "tfrec_queue_users") == 4
        assert value(server, "tfrec_requests_running") == 3
        assert value(server, "tfrec_stage_seconds_count", stage="compute") == 0
    for call in (held, *calls):
        call.result(timeout=30)
    assert value(server, "tfrec_queue_users") == 0
    assert value(server, "tfrec_stage_seconds_count", stage="queue") == 3
    assert value(server, "tfrec_stage_seconds_count", stage="compute") == 2
    assert value(server, "tfrec_batch_size_sum") == 1 + 4
    assert value(server, "tfrec_batch_size_bucket", le="1.0") == 1
    assert value(server, "tfrec_batch_size_bucket", le="4.0") == 2


@pytest.mark.parametrize(("timeout", "code"), [(0.2, "DEADLINE_EXCEEDED"), (60, "CANCELLED")])
def test_what_nobody_waits_for_is_counted(
    server: Server,
    caller: Caller,
    stage: Stage,
    eventually: Callable[..., None],
    timeout: float,
    code: str,
) -> None:
    with stage.held(caller):
        call = caller.prediction.Predict.future(stage.request("view"), timeout=timeout)
        if code == "CANCELLED":
            eventually(lambda: server.batcher.waiting == 1)
            call.cancel()
        eventually(lambda: requests(server, "Predict", "serving_default", code) == 1)
        assert value(server, "tfrec_queue_users") == 0


def test_versions(
    tmp_path: Path, write_version: Callable[..., Path], eventually: Callable[..., None]
) -> None:
    write_version(tmp_path / "tiny", 3)
    with running(ServerSettings(tmp_path / "tiny", port=0, poll_interval_s=0.02)) as server:
        assert value(server, "tfrec_model_version", model="tiny") == 3
        (tmp_path / "tiny" / "4").mkdir()
        eventually(lambda: value(server, "tfrec_versions_rejected_total", name="tiny") == 1)
        assert value(server, "tfrec_model_version", model="tiny") == 3
        write_version(tmp_path / "tiny", 5)
        eventually(lambda: value(server, "tfrec_model_version", model="tiny") == 5)


def test_each_server_counts_for_itself(int_server: Server, server: Server, caller: Caller) -> None:
    before = requests(int_server, "GetModelStatus", "", "OK")
    caller.states()
    assert requests(int_server, "GetModelStatus", "", "OK") == before
    assert server.metrics.registry is not int_server.metrics.registry


def test_metrics_over_http(eventually: Callable[..., None]) -> None:
    metrics = Metrics()
    metrics.watch_index("shop", lambda: 7)
    metrics.request("Predict", "recommend", "OK", 0.004)
    shown = MetricsServer(metrics, "127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{shown.port}/metrics", timeout=30) as response:
        families = {one.name: one for one in text_string_to_metric_families(response.read().decode())}
    shown.close()
    assert families["tfrec_index_version"].samples[0].value == 7
    buckets = {one.labels.get("le"): one.value for one in families["tfrec_request_seconds"].samples}
    assert (buckets["0.0025"], buckets["0.005"]) == (0, 1)
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", shown.port), timeout=30):
        pass


def test_a_port_that_is_taken_is_an_error(int_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = ServerSettings(int_folder, port=0, metrics_port=port)
        with pytest.raises(SettingsError, match=f"{port}.*--metrics-port"), running(settings):
            pass


def selectors(expression: Any) -> Iterator[Any]:
    """The metrics that a query of Prometheus names."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if (inner := getattr(expression, name, None)) is not None:
            yield from selectors(inner)
    if isinstance(expression, promql_parser.Call):
        for argument in expression.args:
            yield from selectors(argument)


def queries() -> list[str]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def series() -> dict[str, set[str]]:
    """Every series of a server that has answered, with its labels."""
    metrics = Metrics()
    metrics.request("Predict", "recommend", "OK", 0.1)
    metrics.watch_model("shop", lambda: 1)
    metrics.watch_index("shop", lambda: 1)
    metrics.watch_cache("last-known", lambda: 1)
    return {
        sample.name: set(sample.labels) for family in metrics.registry.collect() for sample in family.samples
    }


@pytest.mark.parametrize("query", queries())
def test_the_dashboard_asks_for_metrics_that_exist(query: str) -> None:
    found = list(selectors(promql_parser.parse(query.replace("$__rate_interval", "5m"))))
    assert found
    known = series()
    for selector in found:
        assert selector.name in known
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched <= known[selector.name] | {"job", "instance"}


def test_the_dashboard_shows_every_metric() -> None:
    asked = {
        selector.name
        for query in queries()
        for selector in selectors(promql_parser.parse(query.replace("$__rate_interval", "5m")))
    }
    ours = {family.name for family in Metrics().registry.collect() if family.name.startswith("tfrec_")}
    assert all(any(name.startswith(family) for name in asked) for family in ours)


def test_the_dashboard_is_laid_out() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
    assert len(places) == len(board["panels"])
