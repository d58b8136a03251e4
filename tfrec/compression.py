"""A trained model's weights in fewer bytes, for a servable."""

import gc

import keras
import tensorflow as tf

from tfrec.model import TwoTowerModel


def to_int8(model: TwoTowerModel) -> None:
    """Keeps kernels and tables of items in a byte a number, and the weights of rules in half precision.

    Kernels by Keras's quantisation, of weights alone: products of bytes, its default, took three times as
    long on a CPU, and TensorFlow has none for GPUs.

    Args:
        model: is changed; it can no longer be trained or saved.
    """
    config = keras.quantizers.Int8QuantizationConfig(activation_quantizer=None)
    # Keras collects garbage after each kernel, in all that the process holds.
    gc.freeze()
    try:
        model.quantize(config=config, filters=lambda layer: isinstance(layer, keras.layers.Dense))
    finally:
        gc.unfreeze()
    model.query_tower.embedding.to_int8()
    if model.query_tower.rules is not None:
        rules = model.query_tower.rules
        rules.weight = tf.Variable(tf.cast(rules.weight, tf.float16), trainable=False, name="weight")
