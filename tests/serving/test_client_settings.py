import json
import os
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.client import Recommender
from serving.server import Server
from tfrec.errors import SettingsError

ROOT = Path(__file__).parents[2]

CALL = """
import json, sys
from serving.client import Recommender
with Recommender(sys.argv[1], timeout_s=30) as recommender:
    best = recommender.recommend([{"item": 104, "time": "2024-05-01"}], 1)[0].item
ours = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps([best, sorted(name for name in ours if not name.startswith("_"))]))
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout_s": 0}, "timeout_s: expected more than 0, found 0"),
        ({"timeout_s": float("nan")}, "timeout_s: expected more than 0, found nan"),
        ({"retries": 5}, "retries: expected 0 to 4, found 5"),
        ({"retries": -1}, "retries: expected 0 to 4, found -1"),
        ({"max_message_mb": 0}, "max_message_mb: expected 1 to 2047, found 0"),
        ({"max_message_mb": 4096}, "max_message_mb: expected 1 to 2047, found 4096"),
        ({"version": 1, "label": "stable"}, "version and label: expected one of them"),
        ({"version": -3}, "version: expected a whole number from 0, found -3"),
        ({"version": "3"}, "version: expected a whole number from 0, found '3'"),
        ({"target": ""}, "target: expected host:port, found nothing"),
    ],
)
def test_a_setting_out_of_range_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Recommender(**{"target": "localhost:1"} | settings)


def test_a_call_needs_only_the_base_installation(int_server: Server) -> None:
    arguments = [sys.executable, "-S", "-c", CALL, f"localhost:{int_server.port}"]
    path = os.pathsep.join([str(ROOT), *site.getsitepackages()])
    run = subprocess.run(
        arguments, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert run.returncode == 0, run.stderr
    best, loaded = json.loads(run.stdout)
    assert best == 104
    base = {"grpc", "google", "numpy", "pydantic", "pydantic_core", "serving", "tfrec"}
    of_pydantic = {"annotated_types", "typing_extensions", "typing_inspection"}
    of_grpc = {"cython_runtime", "grpc_health", "grpc_reflection"}  # the latter only where it finds them
    assert set(loaded) <= base | of_pydantic | of_grpc
