"""What a failed call tells its caller: the status code, the server's words, and what to do."""

from typing import Any

from serving.status import Code, ServingError

_UNTRUSTED = ("handshake", "certificate", "hostname", "peer name")
_HUNG_UP = ("socket closed", "connection reset", "broken pipe")
_HINTS = {
    Code.DEADLINE_EXCEEDED: "The server is slow or far away; a larger timeout_s waits longer.",
    Code.NOT_FOUND: "Check the model's name (model=), version and label; `tfrec serve` prints its name.",
    Code.UNIMPLEMENTED: "The server is no TensorFlow Serving.",
    Code.CANCELLED: "The call was given up, as when the Recommender is closed.",
}


def failure(error: Any, target: str, model: str, timeout_s: float) -> ServingError:
    """The error of a call that ended with another status code than OK.

    Args:
        error: gRPC's.
        target: where the call went.
        model: the model's name in the request, "" for none.
        timeout_s: the call's deadline.
    """
    code, words = error.code(), (error.details() or "no words").rstrip(".")
    if code is Code.DEADLINE_EXCEEDED:
        words = f"no answer within {timeout_s:g} s ({words})"
    return ServingError(code, f"{target}: {code.name}: {words}. {_hint(code, words, model)}".rstrip())


def _hint(code: Code, words: str, model: str) -> str:
    if code is Code.UNAVAILABLE:
        if any(sign in words.lower() for sign in _UNTRUSTED):
            return "The TLS handshake failed: check that tls= trusts the server's certificate and its name."
        if any(sign in words.lower() for sign in _HUNG_UP):
            # How a server of TLS 1.3 refuses clients: after the handshake, and without a word.
            return (
                "The server hung up. Did it end? Does it speak TLS exactly where tls= says so, and trust the "
                "client's certificate, where it asks for one (tls=Tls(root, certificate, key))?"
            )
        return "Does a server run there, and does it speak TLS exactly where tls= says so?"
    if code is Code.RESOURCE_EXHAUSTED and "larger than max" in words:
        return "Ask for fewer users a call, or set max_message_mb, on the server too."
    if code is Code.RESOURCE_EXHAUSTED:
        return "The server is overloaded: ask less often, or add replicas."
    if code is Code.INVALID_ARGUMENT and not model and "ModelSpec" in words:
        # TensorFlow Serving may have many models, and wants a name.
        return "Name the model: Recommender(target, model=...)."
    return _HINTS.get(code, "")
