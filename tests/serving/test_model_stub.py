"""What a stub asks a server for, without a server."""

import asyncio

import numpy as np

from serving import wire
from serving.links import Call
from serving.model_stub import ModelStub, model_spec
from serving.signatures import Signature, TensorSpec
from serving.tensors import fill
from tfrec.servable import STATES

OURS = ("query_embedding", "own_item_id", "own_score")


class Answering:
    """A link that keeps the request, and answers with what was asked for."""

    target = "nowhere:1"

    async def send(self, call: Call) -> bytes:
        self.request = wire.PredictRequest.FromString(call.request)
        answer = wire.PredictResponse()
        for name in self.request.output_filter or OURS:
            fill(answer.outputs[name], np.zeros((1, 1), np.float32))
        content: bytes = answer.SerializeToString()
        return content


def test_states_stay_on_the_server() -> None:
    number = TensorSpec("float32", (None, None))
    for states in (STATES, ()):
        link = Answering()
        signature = Signature("encode", {}, dict.fromkeys((*OURS, *states), number))
        found = asyncio.run(ModelStub(link, model_spec("shop", None, None)).predict(signature, {}))
        assert set(found) == set(OURS)
        # Without any states nothing is left out, and so nothing need be named.
        assert set(link.request.output_filter) == (set(OURS) if states else set())
