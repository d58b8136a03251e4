"""From candidates to answers: what the encoder's `rank` says of them, and rules."""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from serving.retrieval.rules import choose
from serving.signatures import STATISTIC, Signature
from serving.tensors import Array, array_dtype
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index, Rows
from tfrec.servable import STATES, no_item


def rank_inputs(signature: Signature, inputs: Mapping[str, Array], candidates: Array) -> dict[str, Array]:
    """Returns the inputs of `rank` for candidates [B, C].

    Statistics are found by the ids they are given for; NaN where an item has none.

    Args:
        signature: `rank`.
        inputs: of the request to `recommend`.
        candidates: raw ids.
    """
    statistics = [name for name in signature.inputs if name.startswith(STATISTIC)]
    found = {name: inputs[name] for name in signature.inputs if name in inputs and name not in statistics}
    found["candidate_item_id"] = candidates
    if statistics:
        place = [_places(*pair) for pair in zip(candidates, inputs["statistic_item_id"], strict=True)]
        for name in statistics:
            # Place -1 is that of items that are not named.
            given = np.pad(inputs[name], ((0, 0), (0, 1)), constant_values=np.nan)
            found[name] = np.take_along_axis(given, np.stack(place), axis=1)
    return found


def encoded_inputs(
    length: Array, encoded: Mapping[str, Array], scores: NDArray[np.float32]
) -> dict[str, Array]:
    """Returns the inputs of `rank_encoded` that are known by then.

    Args:
        length: [B] int32, events of the request.
        encoded: outputs of `encode`.
        scores: [B, C] float32 of the candidates, by the search.
    """
    states = {name: encoded[name] for name in STATES}
    # Of a longer sequence the newest events alone were encoded.
    kept = np.minimum(length, states["event_state"].shape[1], dtype=length.dtype)
    return states | {"length": kept, "retrieval_score": scores}


def _places(candidates: Array, named: Array) -> NDArray[np.int64]:
    """Where candidates [C] stand among ids [S], the last place of each; -1 for nowhere."""
    last = {item: place for place, item in enumerate(named.tolist())}
    return np.array([last.get(item, -1) for item in candidates.tolist()], np.int64)


def answers(
    index: Index,
    rows: Rows,
    retrieval: NDArray[np.float32],
    ranked: Mapping[str, Array] | None,
    keys: list[int],
    k: int,
) -> dict[str, Array]:
    """Returns item_id [B, k], score [B, k] and each task's probability, best first.

    Args:
        index: that was searched.
        rows: [B, C] candidates, best first by retrieval; NO_ROW where there is none.
        retrieval: [B, C] float32 their scores.
        ranked: outputs of `rank`; None: retrieval alone decides.
        keys: of the requests, for what is drawn by lot.
        k: how many.
    """
    score = retrieval if ranked is None else np.where(rows == NO_ROW, -np.inf, ranked["score"])
    if index.info.answers.has_rules:
        value = to_best(score) if ranked is None else between(score)
        at = np.stack([choose(index, *one, k) for one in zip(rows, value, keys, strict=True)])
    else:
        at = np.argsort(-score, axis=1, kind="stable")[:, :k]
        at = np.where(np.take_along_axis(score, at, axis=1) == -np.inf, -1, at)
        at = np.pad(at, ((0, 0), (0, k - at.shape[1])), constant_values=-1)
    nothing = no_item(index.info.item_id_type)
    raw = index.raw(_taken(rows, at, NO_ROW), nothing if isinstance(nothing, int) else nothing.encode())
    found = {"item_id": raw.astype(array_dtype(index.info.item_id_type), copy=False)}
    found["score"] = _taken(score, at, -np.inf).astype(np.float32)
    for name in index.info.tasks if ranked is not None else ():
        found[name] = _taken(ranked[name], at, 0.0).astype(np.float32)  # type: ignore[index]
    return found


def key_of(inputs: Mapping[str, Array], user: int) -> int:
    """Returns the number of a request, for what is drawn by lot: of its sequence and moment."""
    items = inputs["item_id"][user, : int(inputs["length"][user])].tolist()
    return zlib.crc32(repr((items, int(inputs["request_time"][user]))).encode())


def to_best(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns exp(score - that of the best candidate): [B, C] in [0, 1], of logarithmic scores."""
    best = np.maximum(score.max(axis=1, keepdims=True), np.finfo(np.float32).min)
    return np.exp(score - best)


def between(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns where scores [B, C] lie between those of the worst and the best candidate: 0 to 1."""
    real = score > -np.inf
    worst = np.where(real, score, np.inf).min(axis=1, keepdims=True)
    best = np.where(real, score, -np.inf).max(axis=1, keepdims=True)
    span = np.maximum(best - worst, np.finfo(np.float32).tiny)
    found: NDArray[np.float32] = np.where(real, (np.where(real, score, worst) - worst) / span, 0.0)
    return found.astype(np.float32)


def _taken(x: Array, at: NDArray[np.int64], nothing: float) -> Array:
    """What stands at places [B, k] of [B, C]; `nothing` at -1."""
    return np.where(at < 0, np.asarray(nothing, x.dtype), np.take_along_axis(x, np.maximum(at, 0), axis=1))
