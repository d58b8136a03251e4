"""Settings of the retrieval server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from serving.settings import BatchSettings, ListenSettings, check_least, cores
from tfrec.errors import SettingsError

Fallback = Literal["none", "popular", "last-known"]


@dataclass(frozen=True)
class RetrievalSettings(ListenSettings):
    """One index on one port, and the encoder beside it.

    Attributes:
        index: `indexes/NAME`, the folder above the version folders.
        encoder: where a TensorFlow Serving has the servable (`host:port`, `unix:/path`); "" with `servable`.
        servable: `servables/NAME`, an exact servable that is loaded into this process instead.
        name: the model's name in requests, and at the encoder; by default that of the servable's folder, or
            of the index's.
        socket: a Unix socket to listen on beside the port, in plain text.
        max_users: users of requests that are being answered, before others are refused.
        searches: searches at the same time.
        fallback: what is answered while the encoder is not there: nothing (UNAVAILABLE), popular items, or
            what the same question was answered last, and popular items where it is new.
        encoder_timeout_s: seconds after which an encoder that does not answer counts as not there.
        encoder_tls: PEM file of the authorities that vouch for the encoder; None: plain text.
        encoder_cert: PEM file of the certificate that is shown to the encoder, where it asks for one.
        encoder_key: PEM file of its private key.
        intra_op_threads: of a servable in this process.
        batching: of a servable in this process.
    """

    index: Path
    encoder: str = ""
    servable: Path | None = None
    name: str = ""
    socket: Path | None = None
    max_users: int = 1024
    searches: int = field(default_factory=cores)
    fallback: Fallback = "none"
    encoder_timeout_s: float = 2.0
    encoder_tls: Path | None = None
    encoder_cert: Path | None = None
    encoder_key: Path | None = None
    intra_op_threads: int = 1
    batching: BatchSettings = field(default_factory=BatchSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(
            max_users=(self.max_users, 1),
            searches=(self.searches, 1),
            intra_op_threads=(self.intra_op_threads, 0),
            encoder_timeout_s=(self.encoder_timeout_s, 0.001),
        )
        if bool(self.encoder) == (self.servable is not None):
            raise SettingsError(
                "the encoder is either a TensorFlow Serving (--encoder host:port) or a servable in this "
                "process (--servable servables/NAME): expected one of them"
            )
        if self.socket is not None and self.processes > 1:
            raise SettingsError(
                "a Unix socket is one process's: serve with one process, or without the socket"
            )
        if self.encoder_tls is not None and not self.encoder:
            raise SettingsError("encoder_tls is for --encoder; a servable in this process needs no TLS")
        if (self.encoder_cert is None) != (self.encoder_key is None):
            raise SettingsError("mutual TLS needs both encoder_cert and encoder_key, found one of them.")
        if self.encoder_cert is not None and self.encoder_tls is None:
            raise SettingsError("encoder_cert needs encoder_tls, which says whom to trust as the encoder.")

    @property
    def model_name(self) -> str:
        """The name that requests call the model by."""
        return self.name or (self.servable or self.index).resolve().name
