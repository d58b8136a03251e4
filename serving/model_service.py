"""TensorFlow Serving's ModelService: which versions there are, and in what state."""

from typing import Any

from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.calls import answering
from serving.status import Code, ServingError
from serving.versions import Version, Versions, check_spec


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Reports on the versions of one model. HandleReloadConfigRequest is UNIMPLEMENTED: the folder is
    the configuration."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802, the protocol's name
        """The state of every version, or of the one named; a version that did not load says why."""
        async with answering(context):
            response = get_model_status_pb2.GetModelStatusResponse()
            for version in self._asked_for(request.model_spec):
                status = response.model_version_status.add(version=version.number, state=int(version.state))
                status.status.error_code = Code.UNKNOWN.value[0] if version.error else Code.OK.value[0]
                status.status.error_message = version.error
            return response

    def _asked_for(self, spec: Any) -> list[Version]:
        check_spec(spec)
        found = self._versions.all() if spec.name in ("", self._versions.name) else []
        if not found:
            raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        if spec.HasField("version"):
            number = spec.version.value
            found = [version for version in found if version.number == number]
            if not found:
                text = f"Could not find version {number} of model {spec.name}"
                raise ServingError(Code.NOT_FOUND, text)
        return found
