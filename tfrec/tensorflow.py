"""The one place where TensorFlow Recommenders is imported, on the Keras that it needs."""

import os
from types import ModuleType


def tensorflow_recommenders() -> ModuleType:
    """Imports TFRS, which needs Keras 2 as `tf.keras`; `import keras` stays Keras 3.

    Raises:
        ImportError: TensorFlow has touched its Keras before tfrec could say which one.
    """
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        import tensorflow_recommenders as tfrs
    except ImportError as error:
        if error.name:
            raise
        raise ImportError(
            "TensorFlow Recommenders could not be imported. Where `tf.keras` was used before tfrec, it "
            "already is Keras 3: import tfrec first, or set TF_USE_LEGACY_KERAS=1 before Python starts. "
            f"({error})"
        ) from error
    return tfrs
