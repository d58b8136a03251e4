"""Golden requests: the questions that every version must answer, one user each."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from serving import wire
from serving.encoding import sequence_inputs
from serving.queries import Query, statistics_by_id
from serving.ranking_inputs import list_inputs
from serving.signatures import Signature
from serving.tensors import Array, read
from tfrec.errors import DataError
from tfrec.schema import IdType
from tfrec.servable import DEFAULT_SIGNATURE

_RECOMMEND = ("recommend", DEFAULT_SIGNATURE)


class Golden(Protocol):
    """A question of one user.

    Attributes:
        path: what errors and reports call it.
    """

    @property
    def path(self) -> str: ...

    def inputs(self, signature: Signature, *, clock: bool) -> dict[str, Array]:
        """The inputs of `recommend`, of one row.

        Args:
            signature: `recommend`, as the version that is asked has it.
            clock: whether its times are clock times.

        Raises:
            DataError: the version does not take what the question says.
        """


@dataclass(frozen=True)
class Asked:
    """A line of a file, in the words of a client; each version is asked as a client would ask it.

    Attributes:
        query: what it says.
        now: unix seconds, for a question without a time of its own, so that all versions are asked the same.
    """

    path: str
    query: Query
    now: int

    def inputs(self, signature: Signature, *, clock: bool) -> dict[str, Array]:
        id_type: IdType = "string" if signature.inputs["item_id"].dtype == "string" else "int64"
        known = statistics_by_id(self.query.statistics, id_type, f"{self.path}.statistics")
        queries, paths = [replace(self.query, statistics=known)], [self.path]
        inputs = sequence_inputs(queries, paths, signature, clock=clock, now=self.now)
        return inputs | list_inputs(queries, paths, signature)


@dataclass(frozen=True, eq=False)
class Recorded:
    """A row of a warm-up request, asked as it is: a version that takes other inputs refuses it."""

    path: str
    row: Mapping[str, Array]

    def inputs(self, signature: Signature, *, clock: bool) -> dict[str, Array]:
        return dict(self.row)


def read_golden(path: Path, now: int) -> list[Golden]:
    """The lines of a file: each as `tfrec recommend --user-events` takes it, JSON of one user.

    Args:
        path: JSON lines; empty ones are passed over.
        now: unix seconds, for users without a request time.

    Raises:
        DataError: the file cannot be read, or a line is no query.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}.") from error
    named = [(f"{path.name}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not named:
        raise DataError(f"{path} holds no requests. Expected JSON of one user a line.")
    return [Asked(name, Query.of(_parsed(name, line), name), now) for name, line in named]


def _parsed(name: str, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name} is no JSON: {error}. Expected a list of events, or an object with `events`, a line."
        ) from error


def golden_of_warm_up(requests: Iterable[bytes]) -> list[Golden]:
    """The users of the warm-up requests for `recommend`, each once.

    Args:
        requests: serialized PredictRequests, of any signature.
    """
    found: dict[bytes, Golden] = {}
    for number, serialized in enumerate(requests, start=1):
        request = wire.PredictRequest.FromString(serialized)
        if request.model_spec.signature_name not in _RECOMMEND:
            continue
        inputs = {name: read(request.inputs[name]) for name in sorted(request.inputs)}
        for user in range(len(inputs["length"])):
            row = {name: array[user : user + 1] for name, array in inputs.items()}
            found.setdefault(_key(row), Recorded(f"warm-up request {number}, user {user + 1}", row))
    return list(found.values())


def _key(row: Mapping[str, Array]) -> bytes:
    """The same for the same question."""
    # Objects are strings, whose array knows addresses alone.
    return repr(
        [
            (name, value.shape, value.tolist() if value.dtype == object else value.tobytes())
            for name, value in row.items()
        ]
    ).encode()
