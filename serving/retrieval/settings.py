"""Settings of the retrieval server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from serving.settings import BatchSettings, check_least, cores
from tfrec.errors import SettingsError

Fallback = Literal["none", "popular", "last-known"]


@dataclass(frozen=True)
class RetrievalSettings:
    """One index on one port, and the encoder beside it.

    Attributes:
        index: `indexes/NAME`, the folder above the version folders.
        encoder: where a TensorFlow Serving has the servable (`host:port`, `unix:/path`); "" with `servable`.
        servable: `servables/NAME`, an exact servable that is loaded into this process instead.
        name: the model's name in requests, and at the encoder; by default that of the servable's folder, or
            of the index's.
        host: the address to listen on; the default is reached from this machine alone.
        port: 0 takes a free one.
        socket: a Unix socket to listen on beside it.
        poll_interval_s: seconds between looks for new versions of the index.
        drain_s: seconds that running requests get when the server stops.
        max_message_mb: the largest request and answer, in MiB.
        max_users: users of requests that are being answered, before others are refused.
        searches: searches at the same time.
        fallback: what is answered while the encoder is not there: nothing (UNAVAILABLE), popular items, or
            what the same question was answered last, and popular items where it is new.
        encoder_tls: PEM file of the authorities that vouch for the encoder; None: plain text.
        tls_cert: PEM file of the server's certificate, with those that vouch for it.
        tls_key: PEM file of its private key; with both the server speaks TLS.
        metrics_port: where Prometheus may ask over HTTP; 0: nowhere.
        log_requests: a line in the log for each request.
        intra_op_threads: of a servable in this process.
        batching: of a servable in this process.
    """

    index: Path
    encoder: str = ""
    servable: Path | None = None
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8500
    socket: Path | None = None
    poll_interval_s: float = 2.0
    drain_s: float = 30.0
    max_message_mb: int = 64
    max_users: int = 1024
    searches: int = field(default_factory=cores)
    fallback: Fallback = "none"
    encoder_tls: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    metrics_port: int = 0
    log_requests: bool = False
    intra_op_threads: int = 1
    batching: BatchSettings = field(default_factory=BatchSettings)

    def __post_init__(self) -> None:
        check_least(
            port=(self.port, 0),
            metrics_port=(self.metrics_port, 0),
            poll_interval_s=(self.poll_interval_s, 0.01),
            drain_s=(self.drain_s, 0),
            max_message_mb=(self.max_message_mb, 1),
            max_users=(self.max_users, 1),
            searches=(self.searches, 1),
            intra_op_threads=(self.intra_op_threads, 0),
        )
        if bool(self.encoder) == (self.servable is not None):
            raise SettingsError(
                "the encoder is either a TensorFlow Serving (--encoder host:port) or a servable in this "
                "process (--servable servables/NAME): expected one of them"
            )
        if self.encoder_tls is not None and not self.encoder:
            raise SettingsError("encoder_tls is for --encoder; a servable in this process needs no TLS")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("TLS needs both tls_cert and tls_key, found one of them.")

    @property
    def model_name(self) -> str:
        """The name that requests call the model by."""
        return self.name or (self.servable or self.index).resolve().name
