"""Settings of the whole suite, and the judge that lies beside the checkout."""

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

# The programs are the same, only not made fast: compiling them is a fourth of what these tests take. Read by
# TensorFlow when it is imported, here and in the processes that tests start.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

# The same examples in every run, however slow the machine: a failure is never chance.
settings.register_profile("tfrec", derandomize=True, deadline=None)
settings.load_profile("tfrec")


@pytest.fixture(scope="module", autouse=True)
def forget_gradients() -> Iterator[None]:
    """TensorFlow keeps every graph that holds a gradient of its own, as the step of a Keras optimizer does.

    Of hundreds of small trainings in one process gigabytes would be left, and each garbage collection would
    walk through them.
    """
    yield
    if "tensorflow" in sys.modules:
        registered = sys.modules["tensorflow.python.framework.ops"].gradient_registry._registry
        for name in [name for name in registered if name.startswith("CustomGradient-")]:
            del registered[name]
        gc.collect()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real logs and of the judge; it need not be there."""
    return Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def judge(shared: Path) -> ModuleType:
    """The benchmark's judge as a module; tests that need it are skipped where it is not."""
    path = shared / "bench" / "judge.py"
    if not path.is_file():
        pytest.skip("the judge is not there: shared/bench/judge.py beside the checkout")
    spec = importlib.util.spec_from_file_location("judge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A `tests.tfrec.made.Made` of random shoppers."""
    from tests.tfrec.datasets import rich_dataset
    from tests.tfrec.made import Made

    return Made(rich_dataset(), tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A `tests.tfrec.ranked.Ranked` of made-up impressions."""
    from tests.tfrec import datasets
    from tests.tfrec.ranked import Ranked
    from tests.tfrec.shown import shown_to

    return Ranked(*shown_to(datasets.rich_dataset()), tmp_path_factory.mktemp("ranked"))
