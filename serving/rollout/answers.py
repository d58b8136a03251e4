"""What a version answers to golden requests, and what is wrong with an answer whoever gave it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from serving.channel import Endpoint
from serving.links import BlockingLink, Call, CallSettings, finish
from serving.model_stub import ModelStub, model_spec
from serving.rollout.golden import Golden
from serving.status import ServingError
from serving.tensors import Array
from tfrec.errors import DataError, TfrecError
from tfrec.servable import ServableInfo, no_item

TIMEOUT_S = 60.0
_MESSAGE_MB = 64


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to one golden request.

    Attributes:
        path: of the request.
        items: [K] ids as the servable gives them, that of no item where it has none.
        scores: [K] float32.
        least: how many items the catalogue is sure to have for this user.
        request: the serialized PredictRequest, to be asked again under load.
        refusal: why there is no answer.
    """

    path: str
    items: list[int | bytes] = field(default_factory=list)
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    least: int = 0
    request: bytes = b""
    refusal: TfrecError | None = None


class _Kept:
    """A link that keeps the last request in the bytes that were sent."""

    def __init__(self, link: BlockingLink) -> None:
        self.target = link.target
        self.request = b""
        self._link = link

    async def send(self, call: Call) -> bytes:
        self.request = call.request
        return await self._link.send(call)


def ask_all(target: str, info: ServableInfo, golden: Sequence[Golden]) -> list[Answer]:
    """Asks a server of one model each golden request, one after the other."""
    endpoint = Endpoint.of(target, retries=0, tls=False, max_message_mb=_MESSAGE_MB)
    link = BlockingLink(endpoint, CallSettings("", TIMEOUT_S))
    try:
        kept = _Kept(link)
        stub = ModelStub(kept, model_spec("", None, None))
        return [finish(_ask(stub, kept, info, one)) for one in golden]
    finally:
        link.close()


async def _ask(stub: ModelStub, kept: _Kept, info: ServableInfo, golden: Golden) -> Answer:
    try:
        signature = await stub.signature("recommend")
        inputs = golden.inputs(signature, clock=info.has_clock)
        outputs = await stub.predict(signature, inputs)
    except (DataError, ServingError) as error:
        return Answer(golden.path, refusal=error)
    items, scores = outputs["item_id"][0].tolist(), outputs["score"][0]
    return Answer(golden.path, items, scores, _sure_items(inputs, info), kept.request)


def _sure_items(inputs: dict[str, Array], info: ServableInfo) -> int:
    """Items that no option of the servable takes away from this user; 0 where the request chooses some."""
    nothing = _nothing(info)
    allowed = inputs.get("allow_item_id")
    if allowed is not None and (allowed != nothing).any():
        return 0
    events = inputs["item_id"][0, : int(inputs["length"][0])].tolist()
    excluded = inputs["exclude_item_id"][0].tolist() if "exclude_item_id" in inputs else []
    return max(0, info.items - len({*events, *excluded} - {nothing}))


def _nothing(info: ServableInfo) -> int | bytes:
    nothing = no_item(info.item_id_type)
    return nothing.encode() if isinstance(nothing, str) else nothing


def faults_of(answer: Answer, info: ServableInfo, k: int) -> list[str]:
    """What is wrong with an answer: a refusal, scores that are no numbers, repeated ids, too few items.

    Args:
        answer: of the version that `info` describes.
        info: the version's.
        k: how many items are wanted, where the catalogue has as many.
    """
    if answer.refusal is not None:
        return [f"{answer.path}: {answer.refusal}"]
    nothing = _nothing(info)
    pairs = zip(answer.items, answer.scores.tolist(), strict=True)
    places = [(place, item, score) for place, (item, score) in enumerate(pairs, start=1)]
    held = [(place, item, score) for place, item, score in places if item != nothing]
    faults = [f"the score {score} at place {place}" for place, _, score in held if not np.isfinite(score)]
    faults += [
        f"the score {score} at place {place}, which holds no item"
        for place, item, score in places
        if item == nothing and score != -np.inf
    ]
    seen: set[int | bytes] = set()
    for place, item, _ in held:
        if item in seen:
            shown = item.decode(errors="replace") if isinstance(item, bytes) else item
            faults.append(f"the item {shown!r} again at place {place}")
        seen.add(item)
    wanted = min(k, answer.least)
    if len(held) < wanted:
        faults.append(f"{len(held)} items, expected at least {wanted}")
    return [f"{answer.path}: {fault}" for fault in faults]
