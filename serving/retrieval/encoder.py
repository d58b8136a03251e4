"""What the retrieval server asks of an encoder: an exact servable, wherever it runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from serving.signatures import Signature
from serving.tensors import Array


class Signatures(NamedTuple):
    """What a version takes and gives.

    Attributes:
        version: number of the version.
        by_name: its signatures.
        packed: the serialized SignatureDefMap.
    """

    version: int
    by_name: Mapping[str, Signature]
    packed: bytes


class Prediction(NamedTuple):
    """An answer of one version.

    Attributes:
        version: number of the version that computed it.
        outputs: by name.
    """

    version: int
    outputs: Mapping[str, Array]


class Encoder(Protocol):
    """Embeds queries and ranks candidates. All methods belong to one event loop."""

    @property
    def name(self) -> str:
        """The model's name."""

    async def signatures(self, spec: Any, deadline: float) -> Signatures:
        """The signatures of the version that a ModelSpec asks for.

        Raises:
            ServingError: there is none, or the encoder does not answer.
        """

    async def predict(
        self, spec: Any, signature: Signature, inputs: Mapping[str, Array], rows: int, deadline: float
    ) -> Prediction:
        """Computes a signature.

        Args:
            spec: a ModelSpec.
            signature: of the version.
            inputs: by name, `rows` of each.
            rows: users.
            deadline: time of the event loop after which nobody waits.

        Raises:
            ServingError: the encoder does not answer, or not with OK.
        """

    def forget(self) -> None:
        """Lets the next `signatures` ask anew."""

    async def close(self) -> None:
        """Lets go of what it holds."""
