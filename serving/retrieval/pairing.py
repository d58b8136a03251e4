"""Whether the encoder and an index are of one model: the server's health."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from serving import wire
from serving.retrieval.encoder import Encoder
from serving.retrieval.indexes import Indexes
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array, array_dtype
from tfrec.errors import DataError

log = logging.getLogger("tfrec.serving")

PATIENCE_S = 5.0
TELLING = (
    *(Code.UNAVAILABLE, Code.FAILED_PRECONDITION, Code.DEADLINE_EXCEEDED),
    *(Code.NOT_FOUND, Code.UNIMPLEMENTED, Code.INTERNAL),
)


class Pairing:
    """Asks the encoder now and then for its model.

    Args:
        encoder: embeds queries.
        indexes: what they are searched in.
        report: called with whether requests can be answered, when that changes.
        fallback: whether they can without the encoder.
    """

    def __init__(
        self, encoder: Encoder, indexes: Indexes, report: Callable[[bool], Awaitable[None]], *, fallback: bool
    ) -> None:
        self._encoder, self._indexes, self._report = encoder, indexes, report
        self._fallback = fallback
        self._said: str | None = None
        self._met = False
        self.problem: ServingError | None = None

    async def check(self) -> None:
        """Finds out whether requests can be answered, and reports it."""
        try:
            self._indexes.of_space(await self._space())
            self.problem = None
            self._met = True
        except ServingError as error:
            if error.code not in TELLING:
                # Overload, or a request of its own that was cut off, says nothing of the encoder's model.
                return
            self.problem = error
        words = str(self.problem) if self.problem else ""
        if words == self._said:
            return
        self._said = words
        if self.problem is None:
            log.info("encoder and index are of one model")
        else:
            log.warning("requests cannot be answered in full: %s", words)
        away = self.problem is not None and self.problem.code is Code.UNAVAILABLE
        # What has never been met has said nothing of its signatures, by which answers are made.
        await self._report(self.problem is None or (away and self._fallback and self._met))

    def require(self) -> None:
        """Checks that encoder and index are of one model.

        Raises:
            DataError: they are not.
        """
        if self.problem is not None:
            raise DataError(str(self.problem))

    async def _space(self) -> int:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        spec: Any = wire.ModelSpec()
        signatures = await self._encoder.signatures(spec, deadline)
        encode = signatures.by_name.get("encode")
        if encode is None or "space" not in encode.outputs:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"the encoder's model {self._encoder.name!r} does not say in whose space it embeds. Export "
                "it with this tfrec.",
            )
        found = await self._encoder.predict(spec, encode, empty_request(encode), 1, deadline)
        return int(np.asarray(found.outputs["space"])[0])


def empty_request(signature: Signature) -> dict[str, Array]:
    """Returns inputs of a user without events, who asks at the first second of 1970."""
    inputs: dict[str, Array] = {}
    for name, spec in signature.inputs.items():
        shape = (1,) if len(spec.shape) == 1 else (1, 1)
        dtype = array_dtype(spec.dtype)
        inputs[name] = np.full(shape, b"", object) if dtype == np.object_ else np.zeros(shape, dtype)
    return inputs
