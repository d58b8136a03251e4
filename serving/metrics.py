"""What Prometheus can ask of a server, with a registry of its own for each server.

Knows nothing of models, so that every server of this package can use it: count requests through
`serving.observing`, say `stage` and `batch` where work is done, and let the gauges look with `watch_…`.
"""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from tfrec.errors import SettingsError

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
USERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

STAGES = ("queue", "compute", "encode", "search", "rank")
"""Waiting for a turn; a whole graph, as the embedded server computes it; its parts, where they are apart."""


class Metrics:
    """The metrics of one server. Every method may be called from any thread.

    Attributes:
        registry: holds them all.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tfrec_requests",
            "Requests that have ended, by method, signature and status code.",
            ["method", "signature", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "tfrec_request_seconds",
            "Seconds from a request's arrival to its answer, of requests that ended with OK.",
            ["signature"],
            buckets=SECONDS,
            registry=registry,
        )
        self._running = Gauge(
            "tfrec_requests_running", "Requests that have arrived and not ended.", registry=registry
        )
        self._stage_seconds = Histogram(
            "tfrec_stage_seconds",
            "Seconds of a stage of the work: queue for each request, the others for each batch.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self._batch_size = Histogram(
            "tfrec_batch_size", "Users of a batch.", buckets=USERS, registry=registry
        )
        self._queue_users = Gauge(
            "tfrec_queue_users", "Users whose requests wait to be computed.", registry=registry
        )
        self._model_version = Gauge(
            "tfrec_model_version", "Number of the version that serves.", ["model"], registry=registry
        )
        self._index_version = Gauge(
            "tfrec_index_version", "Number of the index that is searched.", ["index"], registry=registry
        )
        self._rejected = Counter(
            "tfrec_versions_rejected",
            "Versions, of models and indexes, that did not come into service.",
            ["name"],
            registry=registry,
        )
        self._cache_requests = Counter(
            "tfrec_cache_requests",
            "Questions that a cache was asked, by its name and whether it knew the answer (hit or miss).",
            ["cache", "result"],
            registry=registry,
        )
        self._cache_entries = Gauge(
            "tfrec_cache_entries", "Answers that a cache holds.", ["cache"], registry=registry
        )
        # Finding a series by its labels takes longer than counting in it.
        self._requests_of = functools.cache(self._requests.labels)
        self._seconds_of = functools.cache(self._request_seconds.labels)
        self._stage_of = functools.cache(self._stage_seconds.labels)
        for stage in STAGES:
            self._stage_of(stage)
        # process_resident_memory_bytes, process_cpu_seconds_total and the like, where the system tells.
        ProcessCollector(registry=registry)

    def running(self, more: int) -> None:
        """Counts so many requests more, or with -1 one fewer, as running."""
        self._running.inc(more)

    def request(self, method: str, signature: str, code: str, seconds: float) -> None:
        """Counts a request that has ended.

        Args:
            method: of the service, "Predict".
            signature: that was computed; "" where none was. Only names that the model has, or every typing
                mistake of a caller would make a series of its own.
            code: status code, "OK".
            seconds: that it took.
        """
        self._requests_of(method, signature, code).inc()
        if signature and code == "OK":
            self._seconds_of(signature).observe(seconds)

    def stage(self, stage: str, seconds: float) -> None:
        """Counts the seconds of a stage, one of `STAGES`."""
        self._stage_of(stage).observe(seconds)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Counts the seconds of the block as those of a stage, where it ends well."""
        began = time.perf_counter()
        yield
        self.stage(stage, time.perf_counter() - began)

    def batch(self, users: int) -> None:
        """Counts a batch."""
        self._batch_size.observe(users)

    def cache(self, name: str, *, hit: bool) -> None:
        """Counts a question to a cache."""
        self._cache_requests.labels(name, "hit" if hit else "miss").inc()

    def watch_cache(self, name: str, entries: Callable[[], float]) -> None:
        """Lets `tfrec_cache_entries` be what the function says whenever somebody looks."""
        self._cache_entries.labels(name).set_function(entries)
        for result in ("hit", "miss"):
            self._cache_requests.labels(name, result)

    def version_rejected(self, name: str) -> None:
        """Counts a version of a model or an index that did not come into service."""
        self._rejected.labels(name).inc()

    def watch_queue(self, users: Callable[[], float]) -> None:
        """Lets `tfrec_queue_users` be what the function says whenever somebody looks."""
        self._queue_users.set_function(users)

    def watch_model(self, name: str, version: Callable[[], float]) -> None:
        """The same for `tfrec_model_version`; NaN while none serves."""
        self._model_version.labels(name).set_function(version)
        self._rejected.labels(name)

    def watch_index(self, name: str, version: Callable[[], float]) -> None:
        """The same for `tfrec_index_version`."""
        self._index_version.labels(name).set_function(version)
        self._rejected.labels(name)


class MetricsServer:
    """Shows metrics over HTTP, at /metrics, from a thread of its own.

    Args:
        metrics: to show.
        host: address to listen on.
        port: 0 takes a free one.

    Attributes:
        port: where it listens.

    Raises:
        SettingsError: the address cannot be used.
    """

    def __init__(self, metrics: Metrics, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, metrics.registry)
        except OSError as error:
            raise SettingsError(
                f"cannot show metrics on {host}:{port}. Is the port taken? Choose another by --metrics-port. "
                f"({error.strerror or error})"
            ) from error
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
