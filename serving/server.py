"""The embedded server: TensorFlow Serving's gRPC services for one model, for a laptop and for tests."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving import reflection
from serving.batching import Batcher
from serving.health import HealthService
from serving.listening import grpc_server, listen
from serving.loading import Servable, load_servable, use_threads
from serving.metrics import Metrics, MetricsServer
from serving.model_service import ModelService
from serving.prediction_service import PredictionService
from serving.repeating import repeat
from serving.running import run_until_told, running_in_thread
from serving.settings import ServerSettings
from serving.versions import Versions
from serving.warmup import warm_up

log = logging.getLogger("tfrec.serving")


class Server:
    """Serves one model. All methods belong to one event loop.

    Attributes:
        port: where it listens, once started.
        versions: the model's versions.
        batcher: what computes the requests.
        metrics: what can be said of them.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.port = 0
        self.metrics = Metrics()
        self.batcher = Batcher(settings.batching, self.metrics)
        name = settings.model_name
        self.versions = Versions(
            name,
            settings.folder,
            load_and_warm_up,
            self._report_health,
            lambda: self.metrics.version_rejected(name),
        )
        self.metrics.watch_model(name, lambda: self.versions.number)
        self._grpc = grpc_server(settings, self.metrics)
        self._health = HealthService()
        self._watch: asyncio.Task[None] | None = None
        self._metrics_server: MetricsServer | None = None

    async def start(self) -> None:
        """Loads the newest version, then listens.

        Raises:
            DataError: no version can serve.
            SettingsError: the address or the certificate cannot be used.
        """
        use_threads(self.settings.intra_op_threads)
        await self.versions.look()
        self.versions.require()
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self.versions, self.batcher), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self.versions), self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable(self._grpc, (health.SERVICE_NAME,))
        self.port = listen(self._grpc, self.settings)
        if self.settings.metrics_port:
            self._metrics_server = MetricsServer(self.metrics, self.settings.host, self.settings.metrics_port)
        await self._set_health()
        await self._grpc.start()
        self._watch = asyncio.create_task(
            repeat(self.versions.look, self.settings.poll_interval_s, f"looking at {self.versions.folder}")
        )

    async def stop(self) -> None:
        """Turns new requests away, lets those that run end, and unloads the model."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._health.end()
        await self._grpc.stop(self.settings.drain_s)
        await self.versions.close()
        self.batcher.close()
        if self._metrics_server:
            self._metrics_server.close()

    def _report_health(self) -> None:
        self._health_task = asyncio.ensure_future(self._set_health())

    async def _set_health(self) -> None:
        statuses = health_pb2.HealthCheckResponse
        status = statuses.SERVING if self.versions.available else statuses.NOT_SERVING
        for service in ("", self.versions.name, *reflection.SERVICE_NAMES):
            await self._health.set(service, status)


def load_and_warm_up(folder: Path) -> Servable:
    """Loads a version folder and answers its warm-up requests.

    Raises:
        DataError: the version cannot serve.
    """
    servable = load_servable(folder)
    try:
        count = warm_up(servable, folder)
    except BaseException:
        servable.close()
        raise
    log.info("%s is loaded and has answered %d warm-up requests", folder, count)
    return servable


def run(settings: ServerSettings, on_start: Callable[[Server], None]) -> None:
    """Serves until SIGTERM or SIGINT, then stops gracefully.

    Args:
        settings: what to serve.
        on_start: called once the server listens.
    """
    run_until_told(lambda: Server(settings), on_start)


@contextlib.contextmanager
def running(settings: ServerSettings) -> Iterator[Server]:
    """A server in a thread of this process, while the block runs.

    Raises:
        TfrecError: it cannot start.
    """
    with running_in_thread(lambda: Server(settings)) as server:
        yield server
