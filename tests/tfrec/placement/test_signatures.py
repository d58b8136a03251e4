"""Where ops can run: graphs whose answer is known, and a real servable."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tests.serving.servables import STRING_IDS, write_tiny
from tests.tfrec.made import Made
from tfrec.errors import DataError
from tfrec.placement.kernels import knows_gpu
from tfrec.placement.signatures import SignaturePlacement, placements

pytestmark = pytest.mark.skipif(
    not knows_gpu(), reason="this TensorFlow has no kernels for GPUs, so nothing is known of them"
)
WORDS = {"StringToNumber", "AsString"}


def through_text(x: tf.Tensor) -> tf.Tensor:
    """The same numbers, by two ops that only CPUs have."""
    return tf.strings.to_number(tf.strings.as_string(x))


def square(x: tf.Tensor) -> tf.Tensor:
    return tf.matmul(x, x)


def between(x: tf.Tensor) -> tf.Tensor:
    return square(through_text(square(x)))


def before_and_after(x: tf.Tensor) -> tf.Tensor:
    return through_text(square(through_text(x)))


def beside(x: tf.Tensor) -> tf.Tensor:
    return tf.concat([square(x), through_text(x)], axis=0)


def in_a_function(x: tf.Tensor) -> tf.Tensor:
    # The call has an output that goes on to a product and one that comes from no product.
    both = tf.function(lambda y: (square(y), through_text(y)))
    product, words = both(x)
    return tf.concat([square(product), words], axis=0)


def in_a_branch(x: tf.Tensor) -> tf.Tensor:
    return square(tf.cond(tf.reduce_sum(x) > 0, lambda: through_text(square(x)), lambda: x))


def from_turn_to_turn(x: tf.Tensor) -> tf.Tensor:
    """The text comes before the product in each turn, but after the one of the turn before."""

    def turn(i: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return i + 1, square(through_text(y))

    return tf.while_loop(lambda i, y: i < 3, turn, (0, x))[1]


def in_one_turn_only(x: tf.Tensor) -> tf.Tensor:
    """Nothing of a product comes back to the text."""

    def turn(i: tf.Tensor, y: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return i + 1, square(y), through_text(words)

    return tf.concat(tf.while_loop(lambda i, y, words: i < 3, turn, (0, x, x))[1:], axis=0)


def ops_by_place(found: SignaturePlacement) -> dict[str, int]:
    return {place: len(names) for place, names in found.cpu_only.items() if names}


@pytest.mark.parametrize(
    ("graph", "places"),
    [
        (square, {}),
        (between, {"between": 2}),
        (before_and_after, {"before": 2, "after": 2}),
        (beside, {"beside": 2}),
        (in_a_function, {"beside": 2}),
        (in_a_branch, {"between": 2}),
        (from_turn_to_turn, {"between": 2}),
        (in_one_turn_only, {"beside": 2}),
    ],
)
def test_what_stands_between_products(
    graph: Callable[[tf.Tensor], tf.Tensor], places: dict[str, int], tmp_path: Path
) -> None:
    module = tf.Module()
    function = tf.function(graph, input_signature=[tf.TensorSpec([2, 2], name="x")])
    tf.saved_model.save(module, str(tmp_path), signatures=function)
    (found,) = placements(tmp_path)
    assert ops_by_place(found) == places
    assert found.dense_part_stays == ("between" not in places)
    assert {op for op, placed in found.ops.items() if not placed.gpu} <= WORDS
    assert found.without_kernel == ()


def test_a_variable_of_integers_keeps_its_reader_on_the_cpu(tmp_path: Path) -> None:
    module = tf.Module()
    module.table = tf.Variable([1, 2, 3])
    module.numbers = tf.Variable([1.0, 2.0, 3.0])

    def read(x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, [module.numbers * tf.cast(module.table, tf.float32)])

    function = tf.function(read, input_signature=[tf.TensorSpec([2, 1], name="x")])
    tf.saved_model.save(module, str(tmp_path), signatures=function)
    (found,) = placements(tmp_path)
    assert (found.ops["ReadVariableOp"].nodes, found.ops["ReadVariableOp"].gpu) == (2, 1)
    assert ops_by_place(found) == {"before": 2}


def test_a_real_servable_looks_ids_up_and_then_stays_on_a_gpu(made: Made) -> None:
    assert made.exact is not None
    found = {one.signature: one for one in placements(made.folder / "exact" / "1")}
    assert set(found) == {"recommend", "serving_default", "encode", "rank"}
    for one in found.values():
        assert one.dense_part_stays
        assert one.without_kernel == ()
        assert one.heavy >= 10
        assert one.cpu_only["after"] == ()
        assert [name for name in one.cpu_only["before"] if "LookupTableFind" in name]
    assert found["recommend"].ops["TopKV2"].gpu == 1


def test_text_ids_are_written_at_the_end(tmp_path: Path) -> None:
    found = {one.signature: one for one in placements(write_tiny(tmp_path / "text", 1, STRING_IDS))}
    assert found["recommend"].dense_part_stays
    after = found["recommend"].cpu_only["after"]
    assert [name.rpartition("/")[2].split("_")[0] for name in after] == ["GatherV2", "SelectV2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "has no saved_model.pb"), (b"\x00half", "cannot be read"), (b"", "it holds no graph")],
)
def test_what_is_no_servable(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(DataError, match=message):
        placements(tmp_path)
