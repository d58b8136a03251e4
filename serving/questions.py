"""What a client can ask, written once: which calls a question needs, and what to make of the answers.

Whether these calls block a thread or wait on an event loop is the link's concern, see `serving.links`.
"""

import contextlib
import numbers
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from serving.answers import Encoding, Recommendation, answers_of, encoding_of, ranking_of
from serving.encoding import sequence_inputs
from serving.model_stub import ModelStub
from serving.queries import EventLike, Query, Statistics, ids_of
from serving.ranking_inputs import list_inputs
from serving.signatures import Signature
from serving.tensors import Array
from tfrec.errors import DataError
from tfrec.schema import IdType


class Questions:
    """The questions to one model.

    Args:
        model: sends the calls.
        clock: False for a model of a log without clock times.

    Every question raises DataError for a value that the model cannot take, before the call is sent, and
    ServingError with the status code for all that goes wrong after.
    """

    def __init__(self, model: ModelStub, *, clock: bool) -> None:
        self._model = model
        self._clock = clock

    async def item_id_type(self) -> IdType:
        """Whether the model's items have integer or string ids; asks the server, the first time."""
        return _id_type(await self._model.signature("recommend"))

    async def recommend(
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
        filters: Mapping[str, Iterable[str]] = MappingProxyType({}),
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
            filters: by feature of items, the values of which an answer must have one
                (`{"category": ["wine"]}`), where a retrieval server's index filters by it.
        """
        query = Query(events, exclude, request_time, session, allow, context, statistics, filters)
        return (await self._recommend([query], [""], k))[0]

    async def recommend_many(
        self, queries: Iterable[Query | Sequence[EventLike]], k: int = 10
    ) -> list[list[Recommendation]]:
        """The same for several users in one call; a query is a `Query`, or the events alone."""
        named = [(value, f"queries[{place}]") for place, value in enumerate(queries)]
        if not named:
            return []
        return await self._recommend([Query.of(*pair) for pair in named], [path for _, path in named], k)

    async def rank(
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
        signature = await self._model.signature("rank")
        candidates = list(ids_of(candidates, "candidates"))
        if not candidates:
            raise DataError("candidates: expected at least one id to rank, found none")
        query = Query(events, (), request_time, session, (), context, statistics)
        inputs = self._sequences([query], [""], signature)
        inputs |= list_inputs([query], [""], signature, [candidates])
        outputs = await self._model.predict(signature, inputs)
        with self._understanding():
            return ranking_of(candidates, outputs)

    async def encode(
        self, events: Sequence[EventLike], *, request_time: Any = None, session: int | str | None = None
    ) -> Encoding:
        """The user's query embedding; arguments as in `recommend`."""
        signature = await self._model.signature("encode")
        query = Query(events, request_time=request_time, session=session)
        inputs = self._sequences([query], [""], signature)
        outputs = await self._model.predict(signature, inputs)
        with self._understanding():
            return encoding_of(outputs, _id_type(signature))

    async def _recommend(
        self, queries: Sequence[Query], paths: Sequence[str], k: int
    ) -> list[list[Recommendation]]:
        _check_k(k, None)
        signature = await self._model.signature("recommend")
        if k > (_most(signature) or k):
            # A version that came since may answer with more.
            self._model.forget()
            signature = await self._model.signature("recommend")
        _check_k(k, _most(signature))
        inputs = self._sequences(queries, paths, signature)
        inputs |= list_inputs(queries, paths, signature)
        outputs = await self._model.predict(signature, inputs)
        with self._understanding():
            answers = answers_of(outputs, len(queries), k)
        _check_k(k, outputs["item_id"].shape[1])
        return answers

    def _sequences(
        self, queries: Sequence[Query], paths: Sequence[str], signature: Signature
    ) -> dict[str, Array]:
        return sequence_inputs(queries, paths, signature, clock=self._clock, now=int(time.time()))

    @contextlib.contextmanager
    def _understanding(self) -> Iterator[None]:
        """What an answer should not hold (wrong shapes, ids that are no text) is the server's failure."""
        try:
            yield
        except ValueError as error:
            raise self._model.misunderstood(str(error)) from None


def _id_type(signature: Signature) -> IdType:
    return "string" if signature.inputs["item_id"].dtype == "string" else "int64"


def _most(signature: Signature) -> int | None:
    """The items of an answer, where the signature tells."""
    shape = signature.outputs["item_id"].shape
    return shape[1] if len(shape) == 2 else None


def _check_k(k: int, most: int | None) -> None:
    if isinstance(k, bool) or not isinstance(k, numbers.Integral) or k < 1:
        raise DataError(f"k: expected a whole number of at least 1, found {k!r}")
    if most is not None and k > most:
        raise DataError(
            f"k: the servable answers with at most {most} items, found {k}; export it with a larger k"
        )
