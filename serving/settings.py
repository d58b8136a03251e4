"""What servers listen on, and what the embedded one serves."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from tfrec.errors import SettingsError


@dataclass(frozen=True)
class BatchSettings:
    """How requests are computed together.

    Attributes:
        max_batch_size: users in one batch; a larger request is computed in pieces.
        max_batch_events: events in one batch, at least 32 a user, the number of each rounded up to a power
            of two: many long sequences would be computed no faster together, and nobody in the batch has an
            answer before.
        batch_timeout_us: how long an idle worker waits for a batch to fill, in microseconds, while
            another worker computes; where none does, a request is computed at once.
        max_enqueued: users that may wait; requests beyond are refused at once.
        workers: batches computed at the same time; as many as there are cores by default.
    """

    max_batch_size: int = 16
    max_batch_events: int = 2048
    batch_timeout_us: int = 1000
    max_enqueued: int = 1024
    workers: int = field(default_factory=lambda: cores())

    def __post_init__(self) -> None:
        check_least(
            max_batch_size=(self.max_batch_size, 1),
            max_batch_events=(self.max_batch_events, 1),
            batch_timeout_us=(self.batch_timeout_us, 0),
            max_enqueued=(self.max_enqueued, 1),
            workers=(self.workers, 1),
        )

    def for_events(self, events: int) -> "BatchSettings":
        """The settings of batches whose sequences are of so many events."""
        most = max(self.max_batch_events // max(events, 1), 1)
        return self if most >= self.max_batch_size else replace(self, max_batch_size=most)

    def allowed_size(self, rows: int) -> int:
        """The batch size that rows are filled up to: the next power of two, or the largest size."""
        return min(1 << (rows - 1).bit_length(), self.max_batch_size)

    def batch_size(self, waiting: int) -> int:
        """How many of the waiting rows to compute: all that fit, or fewer where filling them up to an
        allowed size would waste more than a quarter of it."""
        size = self.allowed_size(waiting)
        return size if waiting >= 0.75 * size else size // 2


@dataclass(frozen=True, kw_only=True)
class ListenSettings:
    """What every server of this package is told: its address, its connections, its end.

    Attributes:
        host: the address to listen on; the default is reached from this machine alone.
        port: 0 takes a free one.
        processes: that share the port, each getting some of the connections; this is one of them.
        poll_interval_s: seconds between looks for a new version.
        drain_s: seconds that running requests get when the server, or a connection that is too old, ends.
        max_connection_age_s: seconds after which a connection is ended, give or take a tenth, so that clients
            look for new replicas; 0: never.
        max_message_mb: the largest request and answer, in MiB.
        tls_cert: PEM file of the server's certificate, with those that vouch for it.
        tls_key: PEM file of its private key; with both the server speaks TLS.
        tls_client_ca: PEM file of the authorities that vouch for clients, each of which then needs a
            certificate (mutual TLS); None: any client may come.
        metrics_port: where Prometheus finds the metrics, over HTTP on the same host; 0: nowhere.
        log_requests: whether each request gets a line in the log.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    processes: int = 1
    poll_interval_s: float = 2.0
    drain_s: float = 30.0
    max_connection_age_s: float = 0.0
    max_message_mb: int = 64
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    metrics_port: int = 0
    log_requests: bool = False

    def __post_init__(self) -> None:
        check_least(
            port=(self.port, 0),
            processes=(self.processes, 1),
            poll_interval_s=(self.poll_interval_s, 0.01),
            drain_s=(self.drain_s, 0),
            max_connection_age_s=(self.max_connection_age_s, 0),
            max_message_mb=(self.max_message_mb, 1),
            metrics_port=(self.metrics_port, 0),
        )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both tls_cert and tls_key, found one of them.")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise SettingsError("tls_client_ca needs tls_cert and tls_key: clients show theirs over TLS.")


@dataclass(frozen=True)
class ServerSettings(ListenSettings):
    """One model on one port.

    Attributes:
        folder: `servables/NAME`, the folder above the version folders.
        name: the model's name in requests; the folder's by default.
        intra_op_threads: threads that compute one op of one batch; 0 leaves it to TensorFlow. On a CPU
            many batches on one thread each get more done than few on many: the ops are small.
        batching: how requests are computed together.
    """

    folder: Path
    name: str = ""
    intra_op_threads: int = 1
    batching: BatchSettings = field(default_factory=BatchSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(intra_op_threads=(self.intra_op_threads, 0))

    @property
    def model_name(self) -> str:
        """The name that requests call the model by."""
        return self.name or self.folder.resolve().name


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_least(**settings: tuple[float, float]) -> None:
    """Checks that settings are at least so much.

    Args:
        settings: by name, its value and the least.

    Raises:
        SettingsError: one is not.
    """
    for name, (value, least) in settings.items():
        if value < least:
            raise SettingsError(f"{name}: expected at least {least}, found {value}.")
