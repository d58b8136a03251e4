"""A retrieval server that runs, as a test asks it, and what it is asked."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2
from prometheus_client import generate_latest

from serving.retrieval.server import RetrievalServer
from tests.serving.callers import Answer, Caller, request_of
from tests.tfrec.asking import nothing, requests
from tests.tfrec.made import Made
from tests.tfrec.ranked import Arrays, Ranked, asked_at, of_known

SERVING, NOT_SERVING = (getattr(health_pb2.HealthCheckResponse, name) for name in ("SERVING", "NOT_SERVING"))
MODEL = "shop"

Eventually = Callable[[Callable[[], Any]], None]


@dataclass
class Asked:
    """A server and the official stubs of it.

    Attributes:
        server: in this process.
        caller: of it.
    """

    server: RetrievalServer
    caller: Caller

    def predict(self, inputs: Arrays, **spec: Any) -> Answer:
        """The answer to a request."""
        return self.caller.predict(inputs, name=MODEL, **spec)

    def refusal(self, inputs: Arrays, **spec: Any) -> tuple[grpc.StatusCode, str]:
        """Code and text of the error that a request meets."""
        return self.caller.refusal(inputs, **({"name": MODEL} | spec))

    def marks(self, inputs: Arrays) -> dict[str, Any]:
        """The trailing metadata of an answer."""
        call = self.caller.prediction.Predict.with_call(request_of(inputs, name=MODEL), timeout=30)[1]
        return dict(call.trailing_metadata())

    def searched(self, inputs: Arrays) -> int:
        """The version of the index that a request was answered by."""
        return int(self.marks(inputs)["tfrec-index-version"])

    def in_full(self, inputs: Arrays) -> bool:
        """Whether the encoder takes part in an answer."""
        try:
            return "tfrec-fallback" not in self.marks(inputs)
        except grpc.RpcError:
            return False

    def health(self, service: str = "") -> int:
        """What the health service says."""
        request = health_pb2.HealthCheckRequest(service=service)
        status: int = self.caller.health.Check(request, timeout=10).status
        return status

    def sample(self, name: str) -> float:
        """A value as Prometheus would read it; 0 where there is none yet."""
        lines = generate_latest(self.server.metrics.registry).decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


Ask = Callable[..., Asked]
"""`ask(index, servable=…)` or `ask(index, encoder=…)`: starts a server, which runs until the test ends."""


def asked_of(made: Made, users: int | None = None) -> Arrays:
    """What the test queries ask, all or the first of them."""
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:users]
    none = nothing(len(positions))
    return requests(made.dataset, positions) | {"exclude_item_id": none, "allow_item_id": none}


def ranking_of(ranked: Ranked, **known: np.ndarray) -> Arrays:
    """What known users ask of a model with tasks, of which nothing else is known at the moment."""
    asked = of_known(ranked)
    none = nothing(len(asked))
    return {
        **asked_at(ranked, asked),
        "exclude_item_id": none,
        "allow_item_id": none,
        "statistic_item_id": none,
        "statistic.click_6h": np.zeros((len(asked), 0), np.float32),
        **known,
    }


def events_of(made: Made) -> list[dict[str, Any]]:
    """Four events as a client has them."""
    context = {"device": "phone", "dwell": None}
    return [{"item": int(item), "context": context} for item in made.dataset.items.values[:4]]


def saved_again(made: Made, folder: Path, times: int = 1) -> Path:
    """The model in a file that differs, and so another model as far as anybody can tell."""
    shutil.copytree(made.folder / "model", folder)
    with (folder / "model.keras").open("ab") as file:
        file.write(b"\0" * times)
    return folder
