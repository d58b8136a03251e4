"""Tables and plots of made-up lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ablation_tables import ablation_table, history_table
from benchmarks.accuracy_report import SPEED, between_markers, curves_of, main
from benchmarks.accuracy_tables import accuracy_table, peer_name, peers_table, time_table
from benchmarks.places import ABLATION, ACCURACY, CURVES, PEERS, record
from benchmarks.speed_table import speed_table
from benchmarks.variations import without_seed
from tfrec.config import Settings
from tfrec.settings_file import load_settings

RECTOOLS = {
    "model": "sasrec",
    "layers": "ligr",
    "loss": "gBCE",
    "negatives": 256,
    "dim": 64,
    "blocks": 2,
    "heads": 2,
    "length": 50,
    "dropout": 0.2,
}


def run(dataset: str, seed: int, ndcg: float, *overrides: str, role: str = "test") -> dict[str, Any]:
    settings = load_settings(None, [f"seed={seed}", *overrides]).model_dump(mode="json")
    facts = {"dataset": dataset, "role": role, "seed": seed, "settings": settings}
    return facts | {"ndcg@10": ndcg, "hr@10": 2 * ndcg}


def peer(dataset: str, method: str, ndcg: float, said: dict[str, Any]) -> dict[str, Any]:
    facts = {"dataset": dataset, "method": method, "role": "test", "peer": said}
    return facts | {"ndcg@10": ndcg, "hr@10": 2 * ndcg, "seconds": 90.0, "peak_mb": 1234}


def tried(section: str, name: str, seed: int, ndcg: float, **facts: Any) -> dict[str, Any]:
    slices = {"history_sessions": {"0": [ndcg, 5]}, "place_in_session": {"1": [ndcg / 2, 3]}}
    line = {"dataset": "ebnerd", "section": section, "name": name, "seed": seed, "slices": slices}
    line |= {"ndcg@10": ndcg, "hr@10": 0.5, "epoch_s": 12.0, "best_epoch": 4, "epochs": 9, "parameters": 1000}
    return line | {"base": without_seed(Settings()), "claimed": True} | facts


def point(run: str, method: str, epoch: int, train_s: float, ndcg: float) -> dict[str, Any]:
    facts = {"run": run, "dataset": "beauty", "method": method, "epoch": epoch, "train_s": train_s}
    return facts | {"events_per_s": 1.0, "sequences_per_s": 1.0, "ndcg": ndcg}


BASE = [tried("base", "tuned settings", seed, ndcg) for seed, ndcg in ((1, 0.30), (2, 0.32))]
CURVE_LINES = [
    point("a", "rectools", 1, 60, 0.02),
    point("a", "rectools", 2, 120, 0.03),
    point("b", "rectools", 1, 60, 0.01),
    {"run": "b", "dataset": "beauty", "method": "rectools", "best_ndcg": 0.01},
]
SPEED_LINE = {
    "beauty": {
        **{f"{name}_events_per_s": 1000 for name in ("ours", "rectools", "tuned")},
        **{f"{name}_epoch_s": 2.5 for name in ("ours", "rectools", "tuned")},
        "ratio": 30.1,
        "peak_share": 0.123,
        "peak_mb": 900,
        "rectools_peak_mb": 1,
        "tuned_peak_mb": 1,
    }
}


def row(table: str, start: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_goal_rises_with_the_best_peer_and_seeds_have_a_spread() -> None:
    ours = [run("ebnerd", seed, ndcg) for seed, ndcg in ((1, 0.30), (2, 0.35), (3, 0.37), (2, 0.32))]
    older = [run("ebnerd", 1, 0.9, "model.blocks=1"), run("ebnerd", 1, 0.9, role="val")]
    peers = [peer("ebnerd", "sr", 0.33, {"context": 4}), peer("ebnerd", "own", 0.2, {"context": 4})]
    table = accuracy_table([*older, *ours], peers)
    cells = row(table, "ebnerd")
    # Seed 2 was run again: the newest counts. Mean of 0.30, 0.32, 0.37; sample deviation 0.0361.
    assert cells[1:4] == ["0.3465", "**0.3300 ± 0.0361**", "3"]
    assert cells[6:] == ["sr context=4: 0.3300", "1.00"]
    assert row(table, "beauty")[1:4] == ["0.0600", "-", "0"]


def test_peers_are_told_apart_by_their_settings_and_the_best_comes_first() -> None:
    wide = RECTOOLS | {"dim": 128, "loss": "softmax", "layers": "sasrec"}
    lines = [peer("beauty", "rectools", 0.03, RECTOOLS), peer("beauty", "rectools", 0.04, wide)]
    assert peer_name(lines[0]).startswith("RecTools LiGR, gBCE 256, d=64")
    rows = peers_table(lines).splitlines()[2:]
    assert "SASRec, softmax, d=128" in rows[0]
    assert "| 0.0400 | 0.0800 | 1.5 | 1,234 |" in rows[0]
    assert "LiGR" in rows[1]


def test_differences_to_the_base_are_seed_by_seed() -> None:
    lines = [
        tried("block", "deep", 9, 0.99, base=without_seed(load_settings(None, ["model.blocks=1"]))),
        *BASE,
        tried("block", "deep", 1, 0.31),
        tried("encodings", "hour", 1, 0.29, claimed=False),
    ]
    table = ablation_table(lines, "ebnerd")
    assert row(table, "base")[1:4] == ["tuned settings", "0.3100 ± 0.0141", ""]
    assert row(table, "block")[1:4] == ["deep", "0.3100", "+0.0100"]
    assert row(table, "encodings")[1:4] == ["hour (not a claimed figure)", "0.2900", "-0.0100"]
    assert "0.99" not in table
    assert ablation_table(lines, "beauty") == ""


def test_what_the_history_gives_is_shown_by_slice() -> None:
    table = history_table([*BASE, tried("history and fusion", "no history", 1, 0.155)], "ebnerd")
    assert row(table, "sessions of history")[1:] == ["0", "5", "0.3100", "0.1550", "+100%"]
    assert history_table(BASE, "ebnerd") == ""


def test_time_to_the_peers_best() -> None:
    epochs = {"epoch_train_s": [20.0, 10.0], "val_ndcg@10": [0.025, 0.04]}
    timed = [run("beauty", 2, 0.3) | epochs | {"val_ndcg@10": [0.5, 0.6]}, run("beauty", 1, 0.3) | epochs]
    curves = curves_of(timed, CURVE_LINES)
    assert [p.ndcg for p in curves["beauty"]["rectools"]] == [0.02, 0.03]
    cells = row(time_table(curves, peer="rectools", ours="tfrec"), "beauty")
    assert cells[1:] == ["0.0300", "120", "30", "0.25", "0.0400"]
    assert row(time_table(curves, peer="tfrec", ours="rectools"), "beauty")[3:5] == ["never", "-"]
    assert curves_of([run("beauty", 1, 0.3)], []) == {}


def test_speed_is_of_the_newest_line() -> None:
    table = speed_table([SPEED_LINE | {"ml-1m": SPEED_LINE["beauty"]}, SPEED_LINE])
    assert row(table, "beauty | tfrec, the same work")[2:] == ["1,000", "2.5", "**30.1**", "12.3%", "900"]
    assert speed_table([]) == ""


def test_only_what_stands_between_the_markers_changes() -> None:
    text = "a\n<!-- peers: begin -->\nold\n<!-- peers: end -->\nb"
    assert between_markers(text, "peers", r"new \1") == (
        "a\n<!-- peers: begin -->\n\nnew \\1\n\n<!-- peers: end -->\nb"
    )
    with pytest.raises(SystemExit, match="<!-- curves: begin -->"):
        between_markers(text, "curves", "new")


def document(folder: Path) -> Path:
    path = folder / "benchmarks.md"
    names = (ACCURACY, PEERS, CURVES, ABLATION, SPEED)
    text = "".join(f"# {name}\n\n<!-- {name}: begin -->\n<!-- {name}: end -->\n\n" for name in names)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_lines_the_commands_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = document(tmp_path)
    main(["--results", str(tmp_path / "none"), "--document", str(path)])
    text = path.read_text(encoding="utf-8")
    assert "ablation of beauty: not recorded yet; `python -m benchmarks.ablation beauty`." in text
    assert "python -m benchmarks.training_speed --record" in capsys.readouterr().err
    assert not (tmp_path / "images").exists()


def test_all_of_it_is_drawn_and_drawn_again(tmp_path: Path) -> None:
    path, results = document(tmp_path), tmp_path / "results"
    recorded = {
        ACCURACY: [run("ebnerd", 1, 0.3)],
        PEERS: [peer("ebnerd", "rectools", 0.2, RECTOOLS)],
        CURVES: CURVE_LINES,
        ABLATION: [*BASE, tried("history and fusion", "no history", 1, 0.155)],
        SPEED: [SPEED_LINE],
    }
    for name, lines in recorded.items():
        for line in lines:
            record(name, json.loads(json.dumps(line)), results)
    arguments = ["--results", str(results), "--document", str(path)]
    main(arguments)
    text = path.read_text(encoding="utf-8")
    assert "![NDCG@10 against minutes of training](images/accuracy_by_minutes.png)" in text
    assert "### ebnerd" in text
    assert (tmp_path / "images" / "accuracy_by_minutes.png").read_bytes().startswith(b"\x89PNG")
    main(arguments)
    assert path.read_text(encoding="utf-8") == text
