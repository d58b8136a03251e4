"""The gRPC client that people use: plain Python values in, recommendations out, and no TensorFlow.

    with Recommender("localhost:8500", model="shop") as recommender:
        for found in recommender.recommend([{"item": 12, "time": "2024-05-01T10:00Z"}], k=10):
            print(found.item, found.score)

It speaks to the embedded server (`tfrec serve`) and to TensorFlow Serving alike, and learns from either
what the model takes: integer or string ids, session ids, context columns.
"""

import numbers
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from serving.answers import Encoding, Recommendation, answers_of, encoding_of, ranking_of
from serving.channel import Tls, open_channel
from serving.encoding import sequence_inputs
from serving.model_stub import ModelStub, model_spec
from serving.queries import Event, EventLike, Query, Statistics, ids_of
from serving.ranking_inputs import list_inputs
from serving.signatures import Signature
from serving.status import ServingError
from serving.tensors import Array
from tfrec.errors import DataError, SettingsError
from tfrec.schema import IdType

__all__ = ["Encoding", "Event", "Query", "Recommendation", "Recommender", "ServingError", "Tls"]


class Recommender:
    """Asks one model on one server. Safe to share between threads.

    Args:
        target: `host:port`.
        model: the model's name; the embedded server, which has one model, needs none.
        version: number of a version of it; the newest by default.
        label: name of a version instead, as TensorFlow Serving's configuration gives them ("stable").
        timeout_s: deadline of a call with all its retries, in seconds.
        retries: how often a call that finds no server is tried again, at most 4.
        tls: False: plain text; True: TLS; a path: TLS that trusts the authorities in this PEM file; `Tls`:
            the same in detail, and mutual TLS.
        max_message_mb: the largest request and answer, in MiB.
        clock: False for a model of a log without clock times, whose times are positions, 0 the oldest.

    Raises:
        SettingsError: a setting is out of range.
        DataError: a PEM file cannot be read.

    Every call raises DataError for a value that the model cannot take, before the call is sent, and
    ServingError with the status code for all that goes wrong after.
    """

    def __init__(
        self,
        target: str,
        *,
        model: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout_s: float = 5.0,
        retries: int = 3,
        tls: bool | str | Path | Tls = False,
        max_message_mb: int = 64,
        clock: bool = True,
    ) -> None:
        self._clock = clock
        if not timeout_s > 0:
            raise SettingsError(f"timeout_s: expected more than 0, found {timeout_s}.")
        spec = model_spec(model, version, label)
        channel = open_channel(target, retries=retries, tls=tls, max_message_mb=max_message_mb)
        self._model = ModelStub(channel, target, spec, timeout_s)

    @property
    def item_id_type(self) -> IdType:
        """Whether the model's items have integer or string ids; asks the server, the first time."""
        return _id_type(self._model.signature("recommend"))

    def recommend(
        self,
        events: Sequence[EventLike],
        k: int = 10,
        *,
        exclude: Iterable[int | str] = (),
        allow: Iterable[int | str] = (),
        request_time: Any = None,
        session: int | str | None = None,
        context: Mapping[str, Any] = MappingProxyType({}),
        statistics: Statistics = MappingProxyType({}),
    ) -> list[Recommendation]:
        """The k best items for a user, best first; fewer where the catalogue has no more.

        Args:
            events: the user's, oldest first; each an `Event`, a mapping with its names, or an item's id.
                Either every event has a time or none has; without times all count as happening at
                `request_time`, in the order given: as one visit that still goes on.
            k: how many, at most what the servable was exported with.
            exclude: ids to leave out.
            allow: the only ids to answer; none: all may be.
            request_time: when the answer is wanted, not before the last event; now by default.
            session: id of the session the request belongs to, where the servable takes session ids.
            context: of the request (device, place), where the servable ranks by it.
            statistics: by item's id what is known of it at `request_time` (`{12: {"click_6h": 40}}`), where
                the servable ranks by it; of what is left out nothing is known.
        """
        query = Query(events, exclude, request_time, session, allow, context, statistics)
        return self._recommend([query], [""], k)[0]

    def recommend_many(
        self, queries: Iterable[Query | Sequence[EventLike]], k: int = 10
    ) -> list[list[Recommendation]]:
        """The same for several users in one call; a query is a `Query`, or the events alone."""
        named = [(value, f"queries[{place}]") for place, value in enumerate(queries)]
        if not named:
            return []
        return self._recommend([Query.of(*pair) for pair in named], [path for _, path in named], k)

    def rank(
        self,
        events: Sequence[EventLike],
        candidates: Iterable[int | str],
        *,
        request_time: Any = None,
        session: int | str | None = None,
        context: Mapping[str, Any] = MappingProxyType({}),
        statistics: Statistics = MappingProxyType({}),
    ) -> list[Recommendation]:
        """The candidates by their score, best first, with the probability of each task.

        Args:
            events, request_time, session, context, statistics: as in `recommend`.
            candidates: ids to rank, at least one.
        """
        signature = self._model.signature("rank")
        candidates = list(ids_of(candidates, "candidates"))
        if not candidates:
            raise DataError("candidates: expected at least one id to rank, found none")
        query = Query(events, (), request_time, session, (), context, statistics)
        inputs = self._sequences([query], [""], signature)
        inputs |= list_inputs([query], [""], signature, [candidates])
        found = ranking_of(candidates, self._model.predict(signature, inputs))
        return sorted(found, key=lambda one: -one.score)

    def encode(
        self, events: Sequence[EventLike], *, request_time: Any = None, session: int | str | None = None
    ) -> Encoding:
        """The user's query embedding; arguments as in `recommend`."""
        signature = self._model.signature("encode")
        query = Query(events, request_time=request_time, session=session)
        inputs = self._sequences([query], [""], signature)
        outputs = self._model.predict(signature, inputs)
        return encoding_of(outputs, _id_type(signature))

    def close(self) -> None:
        """Closes the connection."""
        self._model.close()

    def __enter__(self) -> "Recommender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recommend(
        self, queries: Sequence[Query], paths: Sequence[str], k: int
    ) -> list[list[Recommendation]]:
        _check_k(k, None)
        signature = self._model.signature("recommend")
        if k > (signature.outputs["item_id"].shape[1] or k):
            # A version that came since may answer with more.
            self._model.forget()
            signature = self._model.signature("recommend")
        _check_k(k, signature.outputs["item_id"].shape[1])
        inputs = self._sequences(queries, paths, signature)
        inputs |= list_inputs(queries, paths, signature)
        outputs = self._model.predict(signature, inputs)
        _check_k(k, outputs["item_id"].shape[1])
        return answers_of(outputs, k)

    def _sequences(
        self, queries: Sequence[Query], paths: Sequence[str], signature: Signature
    ) -> dict[str, Array]:
        return sequence_inputs(queries, paths, signature, clock=self._clock, now=int(time.time()))


def _id_type(signature: Signature) -> IdType:
    return "string" if signature.inputs["item_id"].dtype == "string" else "int64"


def _check_k(k: int, most: int | None) -> None:
    if isinstance(k, bool) or not isinstance(k, numbers.Integral) or k < 1:
        raise DataError(f"k: expected a whole number of at least 1, found {k!r}")
    if most is not None and k > most:
        raise DataError(
            f"k: the servable answers with at most {most} items, found {k}; export it with a larger k"
        )
