"""A server that ends before it serves."""

import sys
from collections.abc import Callable
from typing import Any


def run(settings: Any, on_start: Callable[[Any], None]) -> None:
    """As the servers' own."""
    sys.exit(3)
