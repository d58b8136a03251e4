"""Where the benchmarks find things, and where they put what they measure.

Nothing beyond the standard library here, so that the peers' environment can import it.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
RESULTS = ROOT / "benchmarks" / "results"
SHARED_BENCH = ROOT.parent / "shared" / "bench"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
DATASETS = tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
"""The judge's names of the logs; each has its tuned settings."""

# Files of `RESULTS`: what a benchmark records there with --record.
ACCURACY, PEERS, ABLATION, CURVES, SPEED = "accuracy", "peers", "ablation", "curves", "training_speed"
RANKING, TWO_STAGES, COLD_START, RETRIEVAL, PREDICTION, REPLAY, COMPRESSION = (
    *("ranking", "two_stages", "cold_start", "retrieval", "prediction", "replay", "compression"),
)


def require(path: Path, hint: str) -> Path:
    """Returns the path; ends the program, with the hint, where nothing is there."""
    if not path.exists():
        sys.exit(f"{path} is missing: {hint}")
    return path


def record(name: str, line: dict[str, Any], folder: Path = RESULTS) -> None:
    """Appends a line to `NAME.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def recorded(name: str, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Returns the lines of `NAME.jsonl`, oldest first; none where there is no such file."""
    path = folder / f"{name}.jsonl"
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            sys.exit(f"{path}, line {number} is no JSON ({error}); repair or remove it")
    return found
