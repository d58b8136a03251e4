"""Who may know whom: the rules of the architecture, read off the imports of the code itself."""

import ast
import functools
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "tf_keras", "tensorflow_recommenders", "scann"}

# What every room stands on: contracts and small tools, without TensorFlow.
NAMES = ("allocation", "errors", "folders", "frozen", "progress", "schema", "servable")
GROUND = {"tfrec", *(f"tfrec.{name}" for name in NAMES)}

# A room of the model's house, and the rooms that it must not know.
OUTER = {f"tfrec.{name}" for name in ("training", "evaluation", "export", "prediction", "explanation", "cli")}
FORBIDDEN = {
    "tfrec.layers": OUTER | {"tfrec.towers", "tfrec.model", "tfrec.tasks"},
    "tfrec.towers": OUTER | {"tfrec.model", "tfrec.tasks"},
    "tfrec.losses": OUTER | {"tfrec.layers", "tfrec.towers", "tfrec.model", "tfrec.tasks"},
    "tfrec.negatives": OUTER | {"tfrec.layers", "tfrec.towers", "tfrec.model", "tfrec.tasks"},
    "tfrec.tasks": OUTER | {"tfrec.model"},
    "tfrec.model": OUTER,
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imports() -> dict[str, set[str]]:
    """The modules that each module of the tree imports, those inside functions included."""
    paths = {
        module_name(path): path
        for top in ("tfrec", "data_prep", "serving")
        for path in (ROOT / top).rglob("*.py")
    }
    return {name: imported(path, set(paths)) for name, path in paths.items()}


def imported(path: Path, ours: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself; say the whole name"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & ours
            found |= submodules or {str(node.module)}
    return found


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def breaches(importer: str, allowed: set[str]) -> set[tuple[str, str]]:
    """Imports of our modules by a room, beyond the room itself and what it is allowed to know."""
    return {
        (name, other)
        for name, others in imports().items()
        if within(name, importer)
        for other in others
        if other.split(".")[0] in {"tfrec", "data_prep", "serving"}
        and not within(other, importer)
        and not any(within(other, room) if room != "tfrec" else other == room for room in allowed)
    }


def test_the_schema_knows_nobody() -> None:
    assert breaches("tfrec.schema", {"tfrec.errors", "tfrec.frozen"}) == set()


@pytest.mark.parametrize("module", sorted(GROUND - {"tfrec"}))
def test_the_ground_floor_stands_on_itself(module: str) -> None:
    assert breaches(module, GROUND) == set()
    assert not {name.split(".")[0] for name in imports()[module]} & (HEAVY | {"pandas"})


def test_data_preparation_knows_only_the_ground_floor() -> None:
    assert breaches("data_prep", GROUND) == set()


def test_serving_knows_only_the_ground_floor_and_the_index() -> None:
    assert breaches("serving", GROUND | {"tfrec.index"}) == set()


def test_only_the_command_line_knows_data_preparation_and_serving() -> None:
    outside = {
        (name, other)
        for name, others in imports().items()
        if within(name, "tfrec") and not within(name, "tfrec.cli")
        for other in others
        if within(other, "data_prep") or within(other, "serving")
    }
    assert outside == set()


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_does_not_know_what_is_built_on_it(room: str) -> None:
    upwards = {
        (name, other)
        for name, others in imports().items()
        if within(name, room)
        for other in others
        for forbidden in FORBIDDEN[room]
        if within(other, forbidden)
    }
    assert upwards == set()


def test_there_are_no_circles() -> None:
    ours = imports()
    graph = {
        name: {other for other in others if other in ours and other != name} for name, others in ours.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_data_preparation_needs_no_tensorflow() -> None:
    heavy = {
        (name, other)
        for name, others in imports().items()
        if within(name, "data_prep")
        for other in others
        if other.split(".")[0] in HEAVY
    }
    assert heavy == set()


IMPORT_ALL = """
import importlib, pkgutil, data_prep
for found in pkgutil.walk_packages(data_prep.__path__, "data_prep."):
    importlib.import_module(found.name)
"""
HELP = """
import contextlib, sys
from tfrec.cli import main
sys.argv = ["tfrec", "--help"]
with contextlib.suppress(SystemExit):
    main()
"""


@pytest.mark.parametrize(
    "script",
    ["import tfrec, tfrec.schema, tfrec.servable", IMPORT_ALL, "import serving.client", HELP],
    ids=["schema", "data_prep", "client", "help"],
)
def test_tensorflow_stays_out(script: str) -> None:
    script += "\nimport json, sys; print(); print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}
    assert not loaded & HEAVY
