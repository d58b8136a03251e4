"""The gRPC client that people use: plain Python values in, recommendations out, and no TensorFlow.

    with Recommender("localhost:8500", model="shop") as recommender:
        for found in recommender.recommend([{"item": 12, "time": "2024-05-01T10:00Z"}], k=10):
            print(found.item, found.score)

It speaks to the embedded server (`tfrec serve`) and to TensorFlow Serving alike, and learns from either
what the model takes: integer or string ids, session ids, context columns.
"""

import math
import numbers
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.channel import Tls, open_channel
from serving.encoding import id_inputs, sequence_inputs
from serving.model_stub import ModelStub, model_spec
from serving.queries import Event, EventLike, Query
from serving.signatures import Signature
from serving.status import ServingError
from serving.tensors import Array
from tfrec.errors import DataError, SettingsError
from tfrec.schema import IdType
from tfrec.servable import no_item

__all__ = ["Encoding", "Event", "Query", "Recommendation", "Recommender", "ServingError", "Tls"]


class Recommendation(NamedTuple):
    """An item of an answer, with its score or probability; `item, score = …` takes it apart."""

    item: int | str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """A user's query, for a search of one's own.

    Attributes:
        query_embedding: [D+1] float32; its product with an item's embedding and bias is the item's score.
        own_item: items that the model scores a second way, each once: the sequence's own, then those
            that often came after its newest ones.
        own_score: [own items] float32, their scores, which replace the product's; -inf: not to recommend.
    """

    query_embedding: NDArray[np.float32]
    own_item: list[int | str]
    own_score: NDArray[np.float32]


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
        request_time: Any = None,
        session: int | str | None = None,
    ) -> list[Recommendation]:
        """The k best items for a user, best first; fewer where the catalogue has no more.

        Args:
            events: the user's, oldest first; each an `Event`, a mapping with its names, or an item's id.
                Either every event has a time or none has; without times all count as happening at
                `request_time`, in the order given: as one visit that still goes on.
            k: how many, at most what the servable was exported with.
            exclude: ids to leave out.
            request_time: when the answer is wanted, not before the last event; now by default.
            session: id of the session the request belongs to, where the servable takes session ids.
        """
        return self._recommend([Query(events, exclude, request_time, session)], [""], k)[0]

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
        task: str = "next_item",
        request_time: Any = None,
        session: int | str | None = None,
    ) -> list[Recommendation]:
        """The candidates in order of their probability, which stands as the score, highest first.

        Args:
            events, request_time, session: as in `recommend`.
            candidates: ids to rank.
            task: whose probability.
        """
        signature = self._model.signature("rank")
        if task not in signature.outputs:
            raise DataError(f"task: expected one of {', '.join(signature.outputs)}, found {task!r}")
        candidates = list(candidates)
        if not candidates:
            return []
        inputs = self._sequences([Query(events, (), request_time, session)], [""], signature)
        inputs |= id_inputs("candidate_item_id", [candidates], ["candidates"], signature)
        chances = self._model.predict(signature, inputs)[task][0]
        order = np.argsort(-chances, kind="stable")
        return [Recommendation(candidates[place], float(chances[place])) for place in order]

    def encode(
        self, events: Sequence[EventLike], *, request_time: Any = None, session: int | str | None = None
    ) -> Encoding:
        """The user's query embedding; arguments as in `recommend`."""
        signature = self._model.signature("encode")
        inputs = self._sequences([Query(events, (), request_time, session)], [""], signature)
        outputs = self._model.predict(signature, inputs)
        # An item's score stands at its first place; what the model does not know has the id of no item.
        items, scores = outputs["own_item_id"][0], outputs["own_score"][0]
        if "rule_item_id" in outputs:
            items = np.concatenate([items, outputs["rule_item_id"][0]])
            scores = np.concatenate([scores, outputs["rule_score"][0]])
        places: dict[int | str, int] = {}
        for place, item in enumerate(items.tolist()):
            places.setdefault(_plain(item), place)
        places.pop(no_item(_id_type(signature)), None)
        return Encoding(outputs["query_embedding"][0], list(places), scores[list(places.values())])

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
        excluded = [f"{path}.exclude" if path else "exclude" for path in paths]
        inputs |= id_inputs("exclude_item_id", [query.exclude for query in queries], excluded, signature)
        outputs = self._model.predict(signature, inputs)
        _check_k(k, outputs["item_id"].shape[1])
        return [
            _best(items, scores, k)
            for items, scores in zip(outputs["item_id"].tolist(), outputs["score"].tolist(), strict=True)
        ]

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


def _best(items: Sequence[Any], scores: Sequence[float], k: int) -> list[Recommendation]:
    """The first k places that hold an item."""
    return [
        Recommendation(_plain(item), score)
        for item, score in zip(items[:k], scores[:k], strict=True)
        if score != -math.inf
    ]


def _plain(item: Any) -> int | str:
    return item.decode() if isinstance(item, bytes) else item
