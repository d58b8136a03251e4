"""One batch on one thread: requests laid together, computed, and cut apart; a bad one fails alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving import padding
from serving.loading import Servable
from serving.signatures import Signature
from serving.status import Code, ServingError
from serving.tensors import Array

Answer = dict[str, Array]

_LONGEST_COMPLAINT = 500
_PLACES = ("Graph execution error", "Detected at node", "<stack traces unavailable>", 'File "', "[[{{node")


def compute(
    servable: Servable, signature: Signature, requests: Sequence[Mapping[str, Array]], size: int
) -> list[Answer | Exception]:
    """Answers requests in one batch of `size` rows; one that the graph refuses does not fail the others."""
    import tensorflow as tf

    try:
        outputs = servable.run(signature.name, padding.merge(requests, signature, size))
    except tf.errors.OpError as error:
        if len(requests) == 1:
            return [_refusal(error)]
        return [
            answer
            for request in requests
            for answer in compute(servable, signature, [request], len(next(iter(request.values()))))
        ]
    return list(padding.split(outputs, requests, signature))


def _refusal(error: Any) -> Exception:
    """The graph's complaint about the request itself goes back to the caller; others are our fault."""
    import tensorflow as tf

    if not isinstance(error, tf.errors.InvalidArgumentError):
        failure: Exception = error
        return failure
    text = next(_complaints(str(error.message)), "the graph refuses the request")
    return ServingError(Code.INVALID_ARGUMENT, text[:_LONGEST_COMPLAINT])


def _complaints(message: str) -> Iterator[str]:
    """The lines of an op's error that speak of the request, not of where in the graph the op stands."""
    for line in message.splitlines():
        text = line.strip()
        if text and not text.startswith(_PLACES):
            yield text
