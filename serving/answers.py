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


def answers_of(outputs: Mapping[str, Array], k: int) -> list[list[Recommendation]]:
    """The first k places of each user's answer that hold an item."""
    answers = []
    for place in range(len(outputs["item_id"])):
        found = ranking_of(outputs["item_id"][place, :k].tolist(), outputs, place)
        answers.append([one for one in found if one.score != -math.inf])
    return answers


def ranking_of(items: Sequence[Any], outputs: Mapping[str, Array], place: int = 0) -> list[Recommendation]:
    """The items in their order, with what a user's row of an answer says of them."""
    of_user = {name: values[place].tolist() for name, values in outputs.items() if name != "item_id"}
    scores = of_user.pop("score")
    return [
        Recommendation(_plain(item), scores[at], {name: values[at] for name, values in of_user.items()})
        for at, item in enumerate(items)
    ]


def encoding_of(outputs: Mapping[str, Array], id_type: IdType) -> Encoding:
    """The encoding of the first user."""
    # An item's score stands at its first place; what the model does not know has the id of no item.
    items, scores = outputs["own_item_id"][0], outputs["own_score"][0]
    if "rule_item_id" in outputs:
        items = np.concatenate([items, outputs["rule_item_id"][0]])
        scores = np.concatenate([scores, outputs["rule_score"][0]])
    places: dict[int | str, int] = {}
    for place, item in enumerate(items.tolist()):
        places.setdefault(_plain(item), place)
    places.pop(no_item(id_type), None)
    return Encoding(outputs["query_embedding"][0], list(places), scores[list(places.values())])


def _plain(item: Any) -> int | str:
    return item.decode() if isinstance(item, bytes) else item
