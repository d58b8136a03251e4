"""A hold on the workers of servers in this process."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorflow_serving.apis import predict_pb2

from serving.loading import Servable
from tests.serving.callers import Caller, request_of, sequences


class Stage:
    """A servable of `Staged`, and a hold on the workers of servers in this process.

    Attributes:
        folder: the servable's.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._arrived, self._go = threading.Event(), threading.Event()
        patch.setattr(Servable, "run", self._run_when_let(Servable.run))

    def _run_when_let(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_run(servable: Servable, signature: str, inputs: Mapping[str, Any]) -> Any:
            if (inputs["event_type"] == b"hold").any():
                self._arrived.set()
                assert self._go.wait(60)
            return run(servable, signature, inputs)

        return wait_and_run

    def request(self, kind: str, users: int = 1) -> predict_pb2.PredictRequest:
        """A request whose events are of this type."""
        inputs = sequences([[101]] * users)
        inputs["event_type"][:] = kind
        return request_of(inputs)

    @contextlib.contextmanager
    def held(self, caller: Caller) -> Iterator[Any]:
        """While the block runs, a worker of the server is busy with a request, whose call is yielded."""
        call = caller.prediction.Predict.future(self.request("hold"))
        assert self._arrived.wait(60)
        try:
            yield call
        finally:
            self.release()

    def release(self) -> None:
        """Lets what is held go on."""
        self._go.set()
