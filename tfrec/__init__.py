"""tfrec recommends across sessions: a Keras two-tower Transformer, from a log to TensorFlow Serving.

Public names load on first use, so that `import tfrec` pulls in no TensorFlow.
"""

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# TFRS is written for Keras 2. TensorFlow decides on its Keras when `tf.keras` is first touched,
# so this must be said before; `import keras` stays Keras 3 all the same.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_PUBLIC = {
    "Dataset": "tfrec.dataset",
    "DatasetSchema": "tfrec.schema",
    "Predictor": "tfrec.prediction",
    "Settings": "tfrec.config",
    "TrainedModel": "tfrec.trained",
    "TwoTowerModel": "tfrec.model",
    "Vocabulary": "tfrec.vocabulary",
    "evaluate": "tfrec.evaluation",
    "evaluate_model": "tfrec.model_evaluation",
    "export": "tfrec.export",
    "predict": "tfrec.batch_prediction",
    "load_settings": "tfrec.settings_file",
    "train": "tfrec.training",
}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'tfrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
