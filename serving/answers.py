"""What a client gets: recommendations and encodings out of the arrays of an answer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.tensors import Array
from tfrec.schema import IdType
from tfrec.servable import no_item


class Recommendation(NamedTuple):
    """An item of an answer; `item, score, probabilities = …` takes it apart.

    Attributes:
        item: its id.
        score: what answers are ordered by, before rules.
        probabilities: by task, where the servable ranks; of given candidates also `next_item`.
    """

    item: int | str
    score: float
    probabilities: Mapping[str, float] = MappingProxyType({})


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


def answers_of(outputs: Mapping[str, Array], users: int, k: int) -> list[list[Recommendation]]:
    """The first k places of each user's answer that hold an item.

    Raises:
        ValueError: the outputs are not [users, K] each.
    """
    _check_shapes(outputs, users)
    answers = []
    for place in range(users):
        found = _of_user(outputs["item_id"][place, :k].tolist(), outputs, place)
        answers.append([one for one in found if one.score != -math.inf])
    return answers


def ranking_of(candidates: Sequence[Any], outputs: Mapping[str, Array]) -> list[Recommendation]:
    """The candidates of one user by their score, best first.

    Raises:
        ValueError: the outputs are not [1, candidates] each.
    """
    _check_shapes(outputs, 1, len(candidates))
    return sorted(_of_user(candidates, outputs, 0), key=lambda one: -one.score)


def encoding_of(outputs: Mapping[str, Array], id_type: IdType) -> Encoding:
    """The encoding of the first user.

    Raises:
        ValueError: an output is not [1, …], or ids and scores do not fit each other.
    """
    _check_shapes({"query_embedding": outputs["query_embedding"]}, 1)
    # An item's score stands at its first place; what the model does not know has the id of no item.
    items, scores = _own(outputs, "own")
    if "rule_item_id" in outputs:
        more_items, more_scores = _own(outputs, "rule")
        items, scores = np.concatenate([items, more_items]), np.concatenate([scores, more_scores])
    places: dict[int | str, int] = {}
    for place, item in enumerate(items.tolist()):
        places.setdefault(_plain(item), place)
    places.pop(no_item(id_type), None)
    return Encoding(outputs["query_embedding"][0], list(places), scores[list(places.values())])


def _own(outputs: Mapping[str, Array], kind: str) -> tuple[Array, Array]:
    names = [f"{kind}_item_id", f"{kind}_score"]
    _check_shapes({name: outputs[name] for name in names if name in outputs}, 1)
    items, scores = (outputs[name][0] for name in names)
    return items, scores


def _of_user(items: Sequence[Any], outputs: Mapping[str, Array], place: int) -> list[Recommendation]:
    """The items in their order, with what a user's row of an answer says of them."""
    of_user = {name: values[place].tolist() for name, values in outputs.items() if name != "item_id"}
    scores = of_user.pop("score")
    return [
        Recommendation(_plain(item), scores[at], {name: values[at] for name, values in of_user.items()})
        for at, item in enumerate(items)
    ]


def _check_shapes(outputs: Mapping[str, Array], rows: int, width: int | None = None) -> None:
    """Ids and numbers as [rows, width], the width the same everywhere."""
    for name, array in outputs.items():
        kind, dtypes = ("ids", "iO") if name.endswith("item_id") else ("numbers", "f")
        if array.dtype.kind not in dtypes:
            raise ValueError(f"output {name!r}: expected {kind}, found {array.dtype}")
        if array.ndim != 2 or len(array) != rows or width not in (None, array.shape[1]):
            expected = f"[{rows}, {'?' if width is None else width}]"
            raise ValueError(f"output {name!r}: expected the shape {expected}, found {list(array.shape)}")
        width = array.shape[1]


def _plain(item: Any) -> int | str:
    return item.decode() if isinstance(item, bytes) else item
