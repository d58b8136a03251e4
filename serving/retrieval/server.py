"""The retrieval server's life: what it holds, when it is healthy, and its end."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from grpc_health.v1 import health_pb2, health_pb2_grpc
from threadpoolctl import threadpool_limits

from serving import wire
from serving.channel import Endpoint, Tls
from serving.computing_threads import computing_threads
from serving.health import HealthService
from serving.listening import grpc_server, listen
from serving.metrics import Metrics, MetricsServer
from serving.repeating import repeat
from serving.retrieval import reflection
from serving.retrieval.encoder import Encoder
from serving.retrieval.fallback import FallbackAnswers
from serving.retrieval.indexes import Indexes
from serving.retrieval.pairing import Pairing
from serving.retrieval.remote import RemoteEncoder
from serving.retrieval.retriever import Retriever
from serving.retrieval.searching import Searches
from serving.retrieval.service import RetrievalService
from serving.retrieval.settings import RetrievalSettings
from serving.running import run_until_told, running_in_thread
from serving.settings import cores

log = logging.getLogger("tfrec.serving")

LIVE = "live"
"""Health of the process itself, whatever its encoder does: nothing that a restart would mend."""


class RetrievalServer:
    """Serves one index. All methods belong to one event loop.

    Attributes:
        port: where it listens, once started.
        indexes: the versions that are held.
        metrics: what can be said of requests and versions.
    """

    def __init__(self, settings: RetrievalSettings) -> None:
        self.settings = settings
        self.port = 0
        self.metrics = Metrics()
        name = settings.index.resolve().name
        self.metrics.watch_index(name, lambda: max(self.indexes.versions, default=float("nan")))
        self.indexes = Indexes(settings.index, lambda: self.metrics.version_rejected(name))
        self._grpc = grpc_server(settings, self.metrics)
        self._pool = computing_threads(settings.searches, "search")
        self._limits = contextlib.ExitStack()
        self._health = HealthService()
        self._encoder: Encoder | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics_server: MetricsServer | None = None

    async def start(self) -> None:
        """Loads the newest index and, where it is in this process, the servable; then listens.

        A remote encoder need not be there yet: until it is, health says NOT_SERVING.

        Raises:
            DataError: no index, or no version of the servable, can be used; or the two do not fit.
            SettingsError: the address or a certificate cannot be used.
        """
        settings = self.settings
        await self.indexes.look()
        self.indexes.require()
        self._encoder = await self._open_encoder()
        pairing = Pairing(self._encoder, self.indexes, self._report, fallback=settings.fallback != "none")
        await pairing.check()
        if settings.servable is not None:
            pairing.require()
        fallback = FallbackAnswers(settings.fallback, self.metrics)
        searches = Searches(self._pool, settings.searches)
        service = RetrievalService(
            settings.model_name,
            self._encoder,
            self.indexes,
            Retriever(self._encoder, self.indexes, searches, self._pool, fallback, self.metrics),
            fallback,
            settings.max_users,
        )
        self._grpc.add_generic_rpc_handlers((service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable(self._grpc)
        sockets = [f"unix:{settings.socket}"] if settings.socket is not None else []
        self.port = listen(self._grpc, settings, *sockets)
        if settings.metrics_port:
            self._metrics_server = MetricsServer(self.metrics, settings.host, settings.metrics_port)
        await self._health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
        # Searches at the same time share the cores; with as many threads as cores each, they fight over them.
        threads = max(cores() // (settings.searches * settings.processes), 1)
        self._limits.enter_context(threadpool_limits(threads, user_api="blas"))
        await self._grpc.start()
        interval = settings.poll_interval_s
        self._tasks = [
            asyncio.create_task(repeat(self.indexes.look, interval, f"looking at {self.indexes.folder}")),
            asyncio.create_task(repeat(pairing.check, interval, "asking the encoder for its model")),
        ]

    async def stop(self) -> None:
        """Turns new requests away, lets those that run end, and lets go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._health.end()
        await self._grpc.stop(self.settings.drain_s)
        if self._encoder is not None:
            await self._encoder.close()
        self._pool.shutdown(wait=True)
        self._limits.close()
        if self._metrics_server:
            self._metrics_server.close()

    async def _open_encoder(self) -> Encoder:
        settings = self.settings
        if settings.servable is None:
            root = settings.encoder_tls
            endpoint = Endpoint.of(
                settings.encoder,
                retries=0,
                tls=Tls(root, settings.encoder_cert, settings.encoder_key) if root is not None else False,
                max_message_mb=settings.max_message_mb,
            )
            return RemoteEncoder(endpoint, settings.model_name, settings.encoder_timeout_s)
        # TensorFlow, which a server with a remote encoder never sees.
        from serving.retrieval.local import LocalEncoder

        local = LocalEncoder(
            settings.servable,
            settings.model_name,
            settings.batching,
            intra_op_threads=settings.intra_op_threads,
            poll_interval_s=settings.poll_interval_s,
            metrics=self.metrics,
        )
        await local.start()
        return local

    async def _report(self, serving: bool) -> None:
        statuses = health_pb2.HealthCheckResponse
        status = statuses.SERVING if serving else statuses.NOT_SERVING
        for service in ("", self.settings.model_name, wire.SERVICE):
            await self._health.set(service, status)


def run(settings: RetrievalSettings, on_start: Callable[[RetrievalServer], None]) -> None:
    """Serves until SIGTERM or SIGINT, then stops gracefully.

    Args:
        settings: what to serve.
        on_start: called once the server listens.
    """
    run_until_told(lambda: RetrievalServer(settings), on_start)


@contextlib.contextmanager
def running(settings: RetrievalSettings) -> Iterator[RetrievalServer]:
    """A server in a thread of this process, while the block runs.

    Raises:
        TfrecError: it cannot start.
    """
    with running_in_thread(lambda: RetrievalServer(settings)) as server:
        yield server
