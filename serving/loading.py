"""One version of a model in memory: found whole in its folder, loaded, called with arrays."""

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.same_signatures import same_signatures
from serving.session import TAG, GraphSession
from serving.signatures import Signature
from serving.tensors import Array
from tfrec.errors import DataError
from tfrec.servable import DEFAULT_SIGNATURE, ServableInfo

log = logging.getLogger("tfrec.serving")

INIT_OP = "__saved_model_init_op"


@dataclass(frozen=True)
class Servable:
    """A version that answers: its signatures, and the graph behind them."""

    version: int
    info: ServableInfo
    signatures: Mapping[str, Signature]
    signature_defs: Mapping[str, Any]
    session: GraphSession

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As `GraphSession.run`."""
        return self.session.run(signature, inputs)

    def close(self) -> None:
        """Gives its memory back; nothing can be computed any more."""
        self.session.close()


def use_threads(intra_op: int) -> None:
    """Says how many threads compute one op; 0 leaves it to TensorFlow, as does one that computes already."""
    import tensorflow as tf

    if intra_op and tf.config.threading.get_intra_op_parallelism_threads() != intra_op:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(intra_op)
        except RuntimeError:
            log.info("TensorFlow computes already, so each op keeps the threads it has")


def load_servable(folder: Path) -> Servable:
    """Loads a version folder, whose name is the version.

    Raises:
        DataError: the folder is incomplete, damaged, or none of tfrec's.
    """
    info = ServableInfo.load(folder)
    if info.retrieval == "scann":
        _load_scann_ops(folder)
    graph = _meta_graph(folder)
    definitions = graph.signature_def
    if DEFAULT_SIGNATURE not in definitions:
        raise DataError(f"{folder}/saved_model.pb has no signature {DEFAULT_SIGNATURE!r}. Export it again.")
    # Metadata show the op by which a SavedModel begins, as TensorFlow Serving's do; nothing is asked of it.
    asked = {name: found for name, found in definitions.items() if name != INIT_OP}
    try:
        session = GraphSession(folder, asked, same_signatures(graph, asked))
    # A damaged file surfaces as whatever the op or parser that meets it raises.
    except Exception as error:
        raise DataError(f"{folder} cannot be loaded: {_first_line(error)}. Export it again.") from error
    signatures = {name: Signature.from_proto(name, found) for name, found in asked.items()}
    return Servable(int(folder.name), info, signatures, definitions, session)


def _meta_graph(folder: Path) -> Any:
    """The graph to serve and its signatures as the file has them, the names of inputs untouched."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{folder} is no servable: it has no saved_model.pb.") from None
    except (OSError, DecodeError) as error:
        raise DataError(
            f"{path} cannot be read: {_first_line(error)}. It may be cut off; export it again."
        ) from error
    for graph in saved.meta_graphs:
        if TAG in graph.meta_info_def.tags:
            return graph
    raise DataError(f"{path} has no graph with the tag {TAG!r}. It may be cut off; export it again.")


def _load_scann_ops(folder: Path) -> None:
    """ScaNN's ops register with TensorFlow when its package is imported."""
    try:
        importlib.import_module("scann")
    except ImportError as error:
        raise DataError(
            f"{folder} searches with ScaNN, whose ops do not load here ({_first_line(error)}). "
            "Install scann 1.4.2 beside TensorFlow 2.20, or export with --retrieval exact."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
