"""The answer to a request: encode, search, rank, rules."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from serving import wire
from serving.metrics import Metrics
from serving.retrieval.candidates import Asked
from serving.retrieval.encoder import Encoder, Prediction, Signatures
from serving.retrieval.fallback import FallbackAnswers
from serving.retrieval.indexes import Indexes
from serving.retrieval.searching import Searches
from serving.retrieval.second_stage import answers, encoded_inputs, key_of, rank_inputs
from serving.signatures import STATISTIC, Signature
from serving.status import Code, ServingError
from serving.tensors import Array
from tfrec.index.exact import Found
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index
from tfrec.servable import RANK_ENCODED, STATES, no_item

log = logging.getLogger("tfrec.serving")


class Answer(NamedTuple):
    """An answer, and where it comes from.

    Attributes:
        outputs: by name.
        model_version: of the encoder; 0: it did not take part.
        index_version: that was searched.
        fallback: whether the encoder did not take part.
    """

    outputs: Mapping[str, Array]
    model_version: int
    index_version: int
    fallback: bool = False


class Retriever:
    """Answers requests to `recommend`.

    Args:
        encoder: embeds and ranks.
        indexes: what is searched.
        searches: find candidates.
        pool: where the rest of the work runs.
        fallback: what is answered without the encoder.
        metrics: where the stages are counted.
    """

    def __init__(
        self,
        encoder: Encoder,
        indexes: Indexes,
        searches: Searches,
        pool: Executor,
        fallback: FallbackAnswers,
        metrics: Metrics,
    ) -> None:
        self._encoder, self._indexes, self._searches = encoder, indexes, searches
        self._pool, self._fallback, self._metrics = pool, fallback, metrics

    async def recommend(
        self, spec: Any, signatures: Signatures, inputs: Mapping[str, Array], rows: int, deadline: float
    ) -> Answer:
        """Returns the K best items of each user.

        Args:
            spec: which version of the model.
            signatures: of that version.
            inputs: as `recommend` takes them, and `filter.COLUMN`.
            rows: users.
            deadline: time of the event loop after which nobody waits.

        Raises:
            ServingError: with the code of what went wrong.
        """
        encode = signatures.by_name["encode"]
        _require(encode, inputs)
        of_sequence = {name: inputs[name] for name in encode.inputs}
        with self._metrics.timed("encode"):
            encoded = await self._encoder.predict(spec, encode, of_sequence, rows, deadline)
        index = self._index_of(encoded)
        k = signatures.by_name["recommend"].outputs["item_id"].shape[1] or index.info.answers.retrieve
        # Their number in the answer must not hang on what is asked first.
        in_two = index.info.has_formula or index.info.answers.has_rules
        count = max(index.info.answers.retrieve, k) if in_two else k
        if index.info.has_formula:
            count = min(count, index.info.answers.max_candidates)
        with self._metrics.timed("search"):
            asked = Asked(encoded.outputs, inputs)
            found, scores = await self._searches.find(index, asked, count, deadline)
        ranked = None
        if index.info.has_formula:
            with self._metrics.timed("rank"):
                ranked = await self._rank(encoded, signatures, index, inputs, (found, scores), deadline)
        keys = [key_of(inputs, user) for user in range(rows)] if index.info.answers.explore else [0] * rows
        outputs = await self._run(deadline, answers, index, found, scores, ranked, keys, k)
        self._fallback.remember(inputs, outputs)
        return Answer(outputs, encoded.version, index.info.version)

    async def without_encoder(
        self, signatures: Signatures, inputs: Mapping[str, Array], deadline: float
    ) -> Answer:
        """Returns what is answered while the encoder is not there.

        Args:
            signatures: as last known.
            inputs: as `recommend` takes them.
            deadline: time of the event loop after which nobody waits.
        """
        outputs = signatures.by_name["recommend"].outputs
        index = self._indexes.newest
        k = outputs["item_id"].shape[1] or index.info.answers.retrieve
        tasks = [name for name in outputs if name not in ("item_id", "score")]
        found = await self._run(deadline, self._fallback.answer, index, inputs, k, tasks)
        return Answer(found, 0, index.info.version, fallback=True)

    def _index_of(self, encoded: Prediction) -> Index:
        space = np.unique(encoded.outputs["space"])
        if len(space) != 1:
            raise ServingError(Code.INTERNAL, "the encoder answered one request with several models")
        return self._indexes.of_space(int(space[0]))

    async def _rank(
        self,
        encoded: Prediction,
        signatures: Signatures,
        index: Index,
        inputs: Mapping[str, Array],
        retrieved: Found,
        deadline: float,
    ) -> Mapping[str, Array]:
        found, scores = retrieved
        # A user without candidates is nobody's to rank, and would fail the others.
        some = np.flatnonzero((found != NO_ROW).any(axis=1))
        ranked: dict[str, Array] = {}
        if len(some):
            nothing = no_item(index.info.item_id_type)
            candidates = index.raw(found[some], nothing if isinstance(nothing, int) else nothing.encode())
            signature, known = signatures.by_name["rank"], {}
            # What an earlier version has exported encodes the sequence again.
            if RANK_ENCODED in signatures.by_name and encoded.outputs.keys() >= set(STATES):
                signature = signatures.by_name[RANK_ENCODED]
                known = encoded_inputs(inputs["length"], encoded.outputs, scores)
            given = {**inputs, **known}
            _require(signature, given)
            asked = rank_inputs(signature, {name: array[some] for name, array in given.items()}, candidates)
            # By the version that embedded the query: another one has other probabilities.
            spec = wire.ModelSpec()
            spec.version.value = encoded.version
            ranked |= (await self._encoder.predict(spec, signature, asked, len(some), deadline)).outputs
        outputs = {}
        for name in ("score", *index.info.tasks):
            outputs[name] = np.full(found.shape, -np.inf if name == "score" else 0.0, np.float32)
            if len(some):
                outputs[name][some] = ranked[name]
        return outputs

    async def _run(self, deadline: float, work: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()

        def unless_late() -> Any:
            if loop.time() > deadline:
                raise ServingError(Code.DEADLINE_EXCEEDED, "the deadline passed; the work was not begun")
            return work(*arguments)

        return await loop.run_in_executor(self._pool, unless_late)


def _require(signature: Signature, inputs: Mapping[str, Array]) -> None:
    """Checks that a request, which was read for another version, has what this one takes.

    Raises:
        ServingError: INVALID_ARGUMENT: it has not.
    """
    ours = ("candidate_item_id",)
    lacking = [name for name in signature.inputs if name not in inputs and not name.startswith(STATISTIC)]
    lacking = [name for name in lacking if name not in ours]
    if any(name.startswith(STATISTIC) for name in signature.inputs) and "statistic_item_id" not in inputs:
        lacking.append("statistic_item_id")
    if lacking:
        names = ", ".join(lacking)
        text = f"the version that took over takes the inputs {names} besides; ask for its signature"
        raise ServingError(Code.INVALID_ARGUMENT, text)
