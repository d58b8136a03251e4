"""`tfrec rollout`: the gate before traffic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfrec.cli.app import needs_extra
from tfrec.errors import SettingsError

if TYPE_CHECKING:
    from serving.rollout.checks import Check
    from serving.rollout.gate import Verdict

_VERDICTS = {True: "[green]passes[/]", False: "[bold red]fails[/]", None: "reported"}


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        name="rollout",
        help="Before a version of a servable gets traffic.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.callback()(lambda: None)
    group.command()(check)
    app.add_typer(group)


def check(
    version: Annotated[Path, typer.Argument(help="servables/NAME/VERSION, the version that wants traffic")],
    against: Annotated[
        Path | None, typer.Option(help="servables/NAME/VERSION, the version that has the traffic")
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines, a user each, as `tfrec recommend --user-events` takes it; default: the warm-up "
            "requests of the current version"
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="how many of the best answers count")] = 10,
    min_overlap: Annotated[
        float, typer.Option(help="least mean share of the current version's k best that stay")
    ] = 0.5,
    min_worst_overlap: Annotated[float, typer.Option(help="the same of the user with the least")] = 0.0,
    max_score_drift: Annotated[
        float | None,
        typer.Option(help="largest mean |difference| of shared items' scores; not judged by default"),
    ] = None,
    min_rank_correlation: Annotated[
        float, typer.Option(help="least mean of Spearman's correlation of shared items' places")
    ] = 0.3,
    rate: Annotated[float, typer.Option(help="requests a second of the load")] = 20.0,
    load_requests: Annotated[int, typer.Option(help="how many requests the load has")] = 300,
    max_p99_ms: Annotated[float, typer.Option(help="largest 99th percentile of latency under load")] = 100.0,
    max_memory_mb: Annotated[float, typer.Option(help="largest peak of resident memory")] = 4096.0,
    start_timeout_s: Annotated[float, typer.Option(help="seconds for loading and warming up")] = 600.0,
    report: Annotated[Path | None, typer.Option(help="a file for all of it, as JSON")] = None,
) -> None:
    """Judge whether a version may take traffic: exit code 0 if it passes, 1 if not, 2 for a bad call.

    It is served by the embedded server on loopback, warmed up, asked golden requests, compared with the
    current version, and put under a load that does not wait for answers.
    """
    from serving.rollout.gate import check_version
    from serving.rollout.report import write_report
    from serving.rollout.settings import RolloutSettings

    settings = RolloutSettings(
        k=k,
        min_overlap=min_overlap,
        min_worst_overlap=min_worst_overlap,
        max_score_drift=max_score_drift,
        min_rank_correlation=min_rank_correlation,
        rate=rate,
        load_requests=load_requests,
        max_p99_ms=max_p99_ms,
        max_memory_mb=max_memory_mb,
        start_timeout_s=start_timeout_s,
    )
    if report is not None and not report.parent.is_dir():
        raise SettingsError(f"--report {report}: there is no folder {report.parent}.")
    console = Console(stderr=True)
    with needs_extra("rollout check", "serve"), console.status("starting") as status:
        verdict = check_version(
            version, against, requests, settings, lambda text: status.update(escape(text))
        )
    console.print(_table(verdict))
    if report is not None:
        write_report(verdict, report)
    if not verdict.passed:
        console.print(
            f"[bold red]{escape(str(version))} does not pass[/]: keep it from traffic", soft_wrap=True
        )
        raise typer.Exit(1)
    console.print(f"[bold green]{escape(str(version))} passes[/]", soft_wrap=True)


def _table(verdict: "Verdict") -> Table:
    beside = f" beside {verdict.current}" if verdict.current else ""
    table = Table(
        title=escape(f"{verdict.newer}{beside}"),
        caption=escape(f"golden requests: {verdict.requests}"),
    )
    table.add_column("check")
    table.add_column("found", justify="right")
    if verdict.current:
        table.add_column("current", justify="right")
    table.add_column("wanted", justify="right")
    table.add_column("verdict")
    table.add_column("detail", overflow="fold")
    for one in verdict.checks:
        figures = [_figure(one, one.found)]
        if verdict.current:
            figures.append(_figure(one, one.current))
        table.add_row(one.name, *figures, one.wanted, _VERDICTS[one.passed], escape(one.detail))
    return table


def _figure(check: "Check", value: float | None) -> str:
    if value is None:
        return ""
    shown = (
        f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 100 else f"{value:,.0f}"
    )
    return f"{shown} {check.unit}".rstrip()
