"""A sum over blocks whose gradient is worked out on the way forward."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Block = dict[str, Any]


def sum_over_blocks(
    function: Callable[[Block, tf.Tensor], tf.Tensor], blocks: Block, shared: tf.Tensor
) -> tf.Tensor:
    """Returns Σ function(block, shared), a scalar.

    Scores of all queries against thousands of candidates are by far the largest tensor of a training
    step. Here a block's gradient is worked out while its scores are still in the cache, and only
    what is as small as the inputs is kept for the backward pass.

    Args:
        function: of one block and of what all blocks share; a scalar.
        blocks: tensors [G, ...], possibly nested; block g has the g-th part of each.
        shared: a float tensor.
    """
    inputs = [shared, *(tensor for tensor in tf.nest.flatten(blocks) if tensor.dtype.is_floating)]
    still = tf.nest.map_structure(tf.stop_gradient, blocks)
    found, gradients = _forward(function, still, tf.stop_gradient(shared))
    # A linear function of the inputs with these gradients, less its own value. `tf.custom_gradient` would say
    # the same, but TensorFlow never lets go of a graph that holds such a one.
    linear = tf.add_n([_product(x, tf.stop_gradient(g)) for x, g in zip(inputs, gradients, strict=True)])
    return tf.stop_gradient(found) + (linear - tf.stop_gradient(linear))


def _product(x: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Σ x · gradient; nothing where the gradient is 0, though x is the logarithm of 0."""
    return tf.reduce_sum(tf.cast(tf.math.multiply_no_nan(x, gradient), tf.float32))


def _forward(
    function: Callable[[Block, tf.Tensor], tf.Tensor], blocks: Block, shared: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns the sum, and its gradients to what is shared and to the floating inputs."""
    flat = tf.nest.flatten(blocks)
    floating = [tensor.dtype.is_floating for tensor in flat]
    count = flat[0].shape[0]

    def step(number: tf.Tensor, found: tf.Tensor, of_shared: tf.Tensor, *arrays: tf.TensorArray) -> Any:
        parts = [tensor[number] for tensor in flat]
        watched = [part for part, f in zip(parts, floating, strict=True) if f]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([shared, *watched])
            loss = function(tf.nest.pack_sequence_as(blocks, parts), shared)
        gradients = tape.gradient(loss, [shared, *watched], unconnected_gradients="zero")
        written = [a.write(number, g) for a, g in zip(arrays, gradients[1:], strict=True)]
        return number + 1, found + loss, of_shared + gradients[0], *written

    arrays = [
        tf.TensorArray(tensor.dtype, count, element_shape=tensor.shape[1:])
        for tensor, f in zip(flat, floating, strict=True)
        if f
    ]
    _, found, of_shared, *written = tf.while_loop(
        lambda number, *_: number < count,
        step,
        (tf.constant(0), tf.constant(0.0), tf.zeros_like(shared), *arrays),
        maximum_iterations=count,
    )
    return found, [of_shared, *(array.stack() for array in written)]
