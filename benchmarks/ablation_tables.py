"""Recorded lines of the ablation as Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.accuracy_tables import HR, NDCG, NONE, Line, markdown, mean_and_spread, of
from benchmarks.variations import BASE, settings_key

NO_HISTORY = "no history"
SLICES = {
    "history_sessions": "sessions of history",
    "place_in_session": "place in the session",
}
NOT_CLAIMED = " (not a claimed figure)"


def ablation_table(lines: Sequence[Line], dataset: str) -> str:
    """Returns a row for each variation of the newest base of a dataset; empty without any."""
    groups = by_variation(lines, dataset)
    if not groups:
        return ""
    base = _by_seed(groups.get((BASE.section, BASE.name), []), NDCG)
    rows = []
    section_before = ""
    for (section, name), runs in groups.items():
        differences = [value - base[seed] for seed, value in _by_seed(runs, NDCG).items() if seed in base]
        claimed = runs[-1].get("claimed", True)
        rows.append(
            [
                "" if section == section_before else section,
                name + ("" if claimed else NOT_CLAIMED),
                mean_and_spread([run[NDCG] for run in runs]),
                "" if name == BASE.name or not differences else f"{statistics.mean(differences):+.4f}",
                f"{statistics.mean(run[HR] for run in runs):.4f}",
                f"{statistics.median(run['epoch_s'] for run in runs):.1f}",
                f"{statistics.median(run['best_epoch'] for run in runs):g} of {runs[-1]['epochs']}",
                f"{runs[-1]['parameters']:,}",
            ]
        )
        section_before = section
    head = ("", "changed", "val NDCG@10", "to base", "HR@10", "s an epoch", "best epoch", "parameters")
    return markdown(head, rows)


def history_table(lines: Sequence[Line], dataset: str) -> str:
    """Returns val NDCG@10 by slice with and without history; empty where one was not tried."""
    groups = by_variation(lines, dataset)
    base = groups.get((BASE.section, BASE.name), [])
    without = next((runs for (_, name), runs in groups.items() if name == NO_HISTORY), [])
    if not base or not without:
        return ""
    rows = []
    for name, title in SLICES.items():
        for label, (_, queries) in base[-1]["slices"][name].items():
            having, lacking = (
                statistics.mean(run["slices"][name][label][0] for run in runs) for runs in (base, without)
            )
            gain = f"{having / lacking - 1:+.0%}" if lacking else NONE
            rows.append([title, label, f"{queries:,}", f"{having:.4f}", f"{lacking:.4f}", gain])
    return markdown(("slice", "", "queries", "with history", "without", "gain"), rows)


def by_variation(lines: Iterable[Line], dataset: str) -> dict[tuple[str, str], list[Line]]:
    """Returns the runs by section and name, sections in the order of their first line.

    Only runs of the newest line's base count, and of each seed the newest.
    """
    mine = of(lines, dataset)
    if not mine:
        return {}
    newest = settings_key(mine[-1]["base"])
    groups: dict[tuple[str, str], dict[int, Line]] = {}
    for line in mine:
        if settings_key(line["base"]) == newest:
            groups.setdefault((line["section"], line["name"]), {})[line["seed"]] = line
    sections = list(dict.fromkeys(section for section, _ in groups))
    ordered = sorted(groups.items(), key=lambda item: sections.index(item[0][0]))
    return {key: [runs[seed] for seed in sorted(runs)] for key, runs in ordered}


def _by_seed(runs: Iterable[Line], metric: str) -> dict[int, float]:
    return {run["seed"]: run[metric] for run in runs}
