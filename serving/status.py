"""Failures that go back to the caller as a status code of gRPC, with a text for a person."""

import grpc

from tfrec.errors import TfrecError

Code = grpc.StatusCode


class ServingError(TfrecError):
    """A request that is answered, or was answered, with a status code other than OK."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
