"""Renderings, made once."""

import functools

import pytest

from tests.k8s import rendering
from tests.k8s.rendering import KUBECTL, Manifest, Pod


@functools.cache
def _rendered(target: str) -> list[Manifest]:
    return rendering.rendered(target)


@pytest.fixture
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests of the folder of k8s/ that the test is parametrized with (indirectly)."""
    if not KUBECTL.exists():
        pytest.skip("kubectl is not there: run `make manifests`, as `make test` does")
    return _rendered(request.param)


@pytest.fixture
def pod(manifests: list[Manifest]) -> Pod:
    """Their only pod template."""
    (found,) = rendering.pods(manifests)
    return found
