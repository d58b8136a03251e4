"""The graph of one version, in a session of its own that gives its memory back when it is closed.

`tf.saved_model.load` makes functions of the program's one context: of each version that was loaded and
dropped again it kept some 100 MB (TensorFlow 2.20, a file of 17 MB), which no server that takes up newer
versions can live with. A session is what TensorFlow Serving has, too.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serving.tensors import Array
from tfrec.allocation import give_back_freed_memory

TAG = "serve"


class GraphSession:
    """Loads a SavedModel and calls its signatures.

    Args:
        folder: of the SavedModel.
        definitions: its signatures by name, as the file has them.
        same: for each of them, the one that is computed for it.

    Raises:
        Exception: whatever the op or parser that meets a damaged file raises.
    """

    def __init__(self, folder: Path, definitions: Mapping[str, Any], same: Mapping[str, str]) -> None:
        import tensorflow as tf

        threads = tf.config.threading.get_intra_op_parallelism_threads()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads,
            # Where one thread computes an op, the caller's own computes them all: handing two thousand small
            # ones to others costs as much as they do.
            inter_op_parallelism_threads=-1 if threads == 1 else _inter_op_threads(),
        )
        # A signature is a call of one function, which TensorFlow optimizes by itself when it is first called.
        # Around it is nothing to be optimized, and inlined into the graph it would be optimized twice.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._definitions, self._same = definitions, same
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        self._calls: dict[str, Callable[..., list[Array]]] = {}
        try:
            with self._session.graph.as_default(), _no_warnings():
                tf.compat.v1.saved_model.loader.load(self._session, [TAG], str(folder))
                for name in set(same.values()):
                    self._calls[name] = _callable(self._session, definitions[name])
        except BaseException:
            self.close()
            raise

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Computes one signature, from any thread; TensorFlow lets other threads run meanwhile.

        Raises:
            tf.errors.OpError: the graph refuses its input.
        """
        name = self._same[signature]
        definition = self._definitions[name]
        outputs = self._calls[name](*(inputs[name] for name in definition.inputs))
        return dict(zip(definition.outputs, outputs, strict=True))

    def close(self) -> None:
        """Lets go of graph and weights; nothing can be called any more."""
        self._calls.clear()
        self._session.close()
        # Its operations point at each other: as it is, it would wait for the garbage collector, which seldom
        # looks at what is old.
        self._session.graph.Dismantle()
        give_back_freed_memory()


def _callable(session: Any, definition: Any) -> Callable[..., list[Array]]:
    """A call that takes arrays and gives arrays.

    `Session.make_callable` would look everything up by its name each time: a millisecond of Python.
    """
    from tensorflow.core.protobuf import config_pb2

    options = config_pb2.CallableOptions()
    options.feed.extend(tensor.name for tensor in definition.inputs.values())
    options.fetch.extend(tensor.name for tensor in definition.outputs.values())
    made: Callable[..., list[Array]] = session._make_callable_from_options(options)
    return made


def _inter_op_threads() -> int:
    import tensorflow as tf

    return int(tf.config.threading.get_inter_op_parallelism_threads())


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Inside, TensorFlow does not advise to use `tf.saved_model.load` instead."""
    import tensorflow as tf

    log = tf.get_logger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
