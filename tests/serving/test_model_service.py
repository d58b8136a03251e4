from typing import Any

import grpc
import pytest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest


def test_status_of_a_version_that_serves(tiny: Any) -> None:
    assert tiny.states() == {1: ("AVAILABLE", "")}


@pytest.mark.parametrize(
    ("name", "version", "text"),
    [("shop", None, "versions of model shop"), ("tiny", 3, "version 3 of model tiny")],
)
def test_status_of_what_is_unknown(tiny: Any, name: str, version: int | None, text: str) -> None:
    request = GetModelStatusRequest()
    request.model_spec.name = name
    if version:
        request.model_spec.version.value = version
    with pytest.raises(grpc.RpcError) as caught:
        tiny.model.GetModelStatus(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert text in caught.value.details()


def test_the_folder_is_the_configuration(tiny: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        tiny.model.HandleReloadConfigRequest(ReloadConfigRequest())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
