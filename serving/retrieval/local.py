"""An encoder in this process: an exact servable, loaded with TensorFlow."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2

from serving.batching import Batcher
from serving.loading import use_threads
from serving.metrics import Metrics
from serving.repeating import repeat
from serving.retrieval.encoder import Prediction, Signatures
from serving.server import load_and_warm_up
from serving.settings import BatchSettings
from serving.signatures import Signature
from serving.tensors import Array
from serving.versions import Versions


class LocalEncoder:
    """The newest version in a servable's folder, as `tfrec serve` keeps it.

    Args:
        folder: servables/NAME.
        name: of the model.
        batching: how requests are computed together.
        intra_op_threads: threads that compute one op.
        poll_interval_s: seconds between looks for a new version.
        metrics: where versions and batches are counted.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        batching: BatchSettings,
        *,
        intra_op_threads: int,
        poll_interval_s: float,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._versions = Versions(
            name, folder, load_and_warm_up, on_reject=lambda: metrics.version_rejected(name)
        )
        metrics.watch_model(name, lambda: self._versions.number)
        self._batcher = Batcher(batching, metrics)
        self._threads = intra_op_threads
        self._interval = poll_interval_s
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Loads the newest version, and looks for newer ones from now on.

        Raises:
            DataError: no version can serve.
        """
        use_threads(self._threads)
        await self._versions.look()
        self._versions.require()
        self._watch = asyncio.create_task(
            repeat(self._versions.look, self._interval, f"looking at {self._versions.folder}")
        )

    async def signatures(self, spec: Any, deadline: float) -> Signatures:
        """As `Encoder.signatures`."""
        with self._versions.use(spec) as servable:
            packed = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.signature_defs.items():
                packed.signature_def[name].CopyFrom(definition)
            return Signatures(servable.version, servable.signatures, packed.SerializeToString())

    async def predict(
        self, spec: Any, signature: Signature, inputs: Mapping[str, Array], rows: int, deadline: float
    ) -> Prediction:
        """As `Encoder.predict`."""
        with self._versions.use(spec) as servable:
            of_version = servable.signatures[signature.name]
            outputs = await self._batcher.submit(servable, of_version, inputs, rows, deadline)
            return Prediction(servable.version, outputs)

    def forget(self) -> None:
        """As `Encoder.forget`: the versions' own are never old."""

    async def close(self) -> None:
        """Unloads the model."""
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._versions.close()
        self._batcher.close()
