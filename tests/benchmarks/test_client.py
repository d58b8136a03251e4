import sys
from pathlib import Path

from benchmarks.client import MODULES, import_seconds, sizes


def test_an_environment_is_measured_entry_by_entry(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    (packages / "grpc" / "aio").mkdir(parents=True)
    (packages / "grpc" / "__init__.py").write_bytes(b"x" * 70)
    (packages / "grpc" / "aio" / "call.py").write_bytes(b"x" * 30)
    (packages / "six.py").write_bytes(b"x" * 5)
    assert sizes(tmp_path / "bin" / "python") == {"grpc": 100, "six.py": 5}


def test_each_run_imports_in_an_interpreter_of_its_own() -> None:
    found = import_seconds(Path(sys.executable), runs=1)
    assert list(found) == list(MODULES)
    assert all(len(times) == 1 and times[0] > 0 for times in found.values())
