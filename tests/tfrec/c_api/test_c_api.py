"""The exact servable in TensorFlow's C++ runtime, through its C API: without Python it answers the same.

TensorFlow Serving is built on the same runtime; the server around it is not there.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.warmup import warm_up_requests
from tests.serving.callers import sequences
from tests.serving.servables import STRING_IDS, write_tiny
from tests.tfrec.asking import ask, requests
from tests.tfrec.made import Made
from tests.tfrec.ranked import K as RANKED_K
from tests.tfrec.ranked import Ranked
from tfrec.export import export
from tfrec.servable import no_item

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
SOURCE = Path(__file__).with_name("load_servable.c")
TYPES = {np.dtype(np.int64): "int64", np.dtype(np.int32): "int32", np.dtype(np.float32): "float"}
Arrays = dict[str, np.ndarray]
Answers = Callable[[Path, dict[str, Arrays]], dict[str, Arrays]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`load_servable`, compiled against the headers and libraries that come with TensorFlow."""
    folder = Path(tf.sysconfig.get_lib())
    if COMPILER is None:
        pytest.skip("no C compiler here: neither cc, gcc nor clang is on the path")
    if not all((folder / library).is_file() for library in LIBRARIES):
        pytest.skip(f"this TensorFlow has no {' and '.join(LIBRARIES)} beside it")
    target = tmp_path_factory.mktemp("c_api") / "load_servable"
    libraries = [str(folder / library) for library in LIBRARIES]
    command = [COMPILER, "-std=c11", "-Wall", str(SOURCE), f"-I{tf.sysconfig.get_include()}"]
    done = subprocess.run(
        [*command, *libraries, f"-Wl,-rpath,{folder}", "-o", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def answers(program: Path) -> Answers:
    """`answers(version folder, {signature: inputs})`: what the program says, which loads it once."""

    def run(folder: Path, questions: dict[str, Arrays]) -> dict[str, Arrays]:
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        asked = "".join(
            question(saved.meta_graphs[0].signature_def[signature], inputs)
            for signature, inputs in questions.items()
        )
        done = subprocess.run([program, folder], input=asked.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        found = {}
        for signature, said in zip(questions, done.stdout.split(b"\n\n"), strict=False):
            outputs = saved.meta_graphs[0].signature_def[signature].outputs
            names = {place(info): name for name, info in outputs.items()}
            lines = [line.split(b" ", 2) for line in said.splitlines()]
            found[signature] = {
                names[f"{name.decode()} {at.decode()}"]: read(rest) for name, at, rest in lines
            }
        return found

    return run


def question(definition: Any, inputs: Arrays) -> str:
    """What the program reads: the inputs, and all outputs of a signature."""
    feeds = [f"feed {place(definition.inputs[name])} {spelled(array)}" for name, array in inputs.items()]
    fetches = [f"fetch {place(info)}" for info in definition.outputs.values()]
    return "\n".join([*feeds, *fetches, "ask\n"])


def place(info: Any) -> str:
    """A tensor of a signature as the program takes it: its operation, and which of the outputs."""
    return str(info.name).replace(":", " ")


def spelled(array: np.ndarray) -> str:
    """A tensor as the program reads it."""
    head = [TYPES.get(array.dtype, "string"), array.ndim, *array.shape]
    if array.dtype in TYPES:
        values = [f"{value:.9g}" if array.dtype == np.float32 else value for value in array.ravel().tolist()]
    else:
        texts = [text.encode() if isinstance(text, str) else text for text in array.ravel().tolist()]
        values = [f"{len(text)}:{text.decode()}" for text in texts]
    return " ".join(map(str, [*head, *values]))


def read(line: bytes) -> np.ndarray:
    """A tensor as the program prints it; its texts hold no spaces here."""
    kind, rank, *rest = line.split()
    shape, values = [int(size) for size in rest[: int(rank)]], rest[int(rank) :]
    if kind == b"string":
        return np.array([value.split(b":", 1)[1] for value in values], object).reshape(shape)
    dtype = {b"int64": np.int64, b"int32": np.int32, b"float": np.float32}[kind]
    return np.array([dtype(value) for value in values], dtype).reshape(shape)


def test_a_trained_model_answers_without_python(made: Made, answers: Answers) -> None:
    model = made.exact
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:5]
    inputs = requests(made.dataset, positions)
    some = np.tile(made.dataset.items.values[:7], (len(positions), 1))
    # The first user allows two items alone.
    allowed = np.full((len(positions), 2), no_item("int64"))
    allowed[0] = some[0, :2]
    choice = {"allow_item_id": allowed, "exclude_item_id": some[:, 2:3]}
    lists = {
        "recommend": choice,
        "serving_default": choice,
        "encode": {},
        "rank": {"candidate_item_id": some},
    }
    found = answers(made.folder / "exact" / "1", {name: inputs | more for name, more in lists.items()})
    assert set(found) == set(lists)
    for signature, more in lists.items():
        same(found[signature], ask(model, signature, inputs, **more))


def same(found: Arrays, expected: Arrays) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found[name], values)


def test_both_stages_answer_the_warm_up_requests_without_python(ranked: Ranked, answers: Answers) -> None:
    rules = ["answers.explore=0.2", "answers.diversity=0.3"]
    folder = export(ranked.folder / "model", ranked.folder / "in_c", k=RANKED_K, overrides=rules)
    model = tf.saved_model.load(str(folder))
    asked = {
        request.model_spec.signature_name: {n: tf.make_ndarray(proto) for n, proto in request.inputs.items()}
        for request in warm_up_requests(folder)
    }
    assert set(asked) == {"recommend", "serving_default", "encode", "rank", "rank_encoded"}
    found = answers(folder, asked)
    assert set(found) == set(asked)
    for signature, inputs in asked.items():
        same(found[signature], ask(model, signature, inputs))


def test_text_ids(answers: Answers, tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "text", 1, STRING_IDS)
    found = answers(folder, {"recommend": sequences([["crème", "crème", "figs"]])})["recommend"]
    assert [item.decode() for item in found["item_id"][0]] == ["crème", "figs", "apple", "bread", "dates"]
    assert found["score"][0, 0] == 1000 + 2 - 2 * 0.0625


def test_a_folder_that_is_no_servable(program: Path, tmp_path: Path) -> None:
    done = subprocess.run([program, tmp_path], input=b"", capture_output=True, check=False)
    assert done.returncode == 1
    assert b"loading: " in done.stderr
