"""The activation of gates and experts."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfrec")
def silu(x: tf.Tensor) -> tf.Tensor:
    """Returns x · σ(x) (Elfwing et al. 2017), of any shape.

    `tf.nn.silu` has a gradient of its own, and TensorFlow never lets go of a graph that holds such a one:
    each model that is trained, exported or loaded in a process would stay in it.
    """
    return x * tf.sigmoid(x)
