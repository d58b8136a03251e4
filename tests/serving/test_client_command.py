"""`tfrec recommend` against the embedded server."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from serving.server import Server, ServerSettings, running
from tfrec.cli.recommend import register
from tfrec.errors import TfrecError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Result]:
    """`call(server, content, *options)`: the command, the content being that of the file of events."""
    app = typer.Typer()
    register(app)

    def invoke(server: Server, content: Any, *options: str) -> Result:
        events = tmp_path / "events.json"
        events.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        arguments = [
            "--target",
            f"localhost:{server.port}",
            "--user-events",
            str(events),
            "--timeout-s",
            "30",
        ]
        return CliRunner().invoke(app, [*arguments, *options])

    return invoke


def refusal(result: Result) -> str:
    assert isinstance(result.exception, TfrecError)
    return str(result.exception)


def test_a_table(int_server: Server, call: Callable[..., Result]) -> None:
    result = call(int_server, [104, {"item": 102}, 104], "--k", "3")
    assert result.exit_code == 0, result.output
    assert "3 recommendations after 3 events" in " ".join(result.output.split())
    rows = [line.replace("│", " ").split() for line in result.output.splitlines() if "100" in line]
    assert rows == [["1", "104", "1002.8125"], ["2", "102", "1001.4375"], ["3", "101", "1000.0000"]]


def test_json(int_server: Server, call: Callable[..., Result]) -> None:
    content = {
        "events": [{"item": 104, "time": "2024-05-01T15:30Z", "event_type": "purchase"}],
        "exclude": [102],
        "request_time": "2024-05-01T16:00Z",
    }
    result = call(int_server, content, "-k", "2", "--exclude", "101", "--json")
    assert json.loads(result.stdout) == [{"item": 104, "score": 1002.3125}, {"item": 103, "score": 999.875}]


def test_string_ids_sessions_and_context(string_server: Server, call: Callable[..., Result]) -> None:
    event = {"item": "crème", "session": "s1", "context": {"price": 3, "store": "north"}}
    result = call(string_server, {"events": [event], "session": "s1"}, "--k", "1", "--json")
    assert json.loads(result.stdout) == [{"item": "crème", "score": 1000 + 1.5 + 0.25 + 3 - 0.125}]
    assert "crème" in result.stdout
    result = call(string_server, [], "--k", "2", "--exclude", "apple", "--exclude", "7", "--json")
    assert [one["item"] for one in json.loads(result.stdout)] == ["bread", "crème"]


def test_an_id_that_looks_like_markup_is_printed_as_it_is(
    tmp_path: Path, write_version: Callable[..., Path], call: Callable[..., Result]
) -> None:
    write_version(tmp_path / "odd", 1, ["[red]milk", "eggs"])
    with running(ServerSettings(tmp_path / "odd", port=0)) as server:
        assert "[red]milk" in call(server, ["[red]milk"], "--k", "1").output


def test_events_from_stdin(int_server: Server) -> None:
    app = typer.Typer()
    register(app)
    arguments = ["--target", f"localhost:{int_server.port}", "--user-events", "-", "--k", "1", "--json"]
    result = CliRunner().invoke(app, arguments, input="[105, 105]")
    assert json.loads(result.stdout)[0]["item"] == 105


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ([101, "abc"], (), "events[1].item: expected an integer, found 'abc' (str)"),
        ({"events": [101], "exclude": 5}, (), "exclude: expected a list of ids, found 5"),
        ({"events": [101], "exclude": "abc"}, ("--exclude", "101"), "exclude: expected a list of ids"),
        ({"event": [101]}, (), "did you mean 'events'"),
        ({"events": 5}, (), "events: expected a list of events, found 5"),
        (5, (), "events: expected a list of events, found 5"),
        ("[1, 2", (), "events.json is no JSON"),
        ([101], ("--exclude", "abc"), "--exclude: the model's ids are integers, found abc"),
        ({"events": [], "statistics": {"x": {}}}, (), "statistics: the model's ids are integers, found 'x'"),
        (
            {"events": [], "statistics": {"101": {"a": 1}}},
            (),
            "statistics[101].a: unknown; expected one of none",
        ),
        ([101], ("--k", "9"), "k: the servable answers with at most 5 items, found 9"),
        ([101], ("--model", "shoes"), "NOT_FOUND"),
        ([101], ("--version", "9"), "NOT_FOUND"),
        ([101], ("--label", "stable"), "stable"),
        ([101], ("--version", "1", "--label", "stable"), "version and label: expected one of them"),
        ([101], ("--retries", "9"), "retries: expected 0 to 4"),
        ([101], ("--timeout-s", "0"), "timeout_s: expected more than 0"),
        ([101], ("--tls", "--retries", "0"), "UNAVAILABLE"),
        ([101], ("--tls-root", "none.pem"), "none.pem cannot be read"),
        ([101], ("--tls-cert", "none.pem"), "both certificate and key"),
    ],
)
def test_what_is_wrong_is_named(
    int_server: Server, call: Callable[..., Result], content: Any, options: tuple[str, ...], message: str
) -> None:
    k = () if "--k" in options else ("--k", "1")
    assert message in refusal(call(int_server, content, *k, *options))


def test_positions_instead_of_times(int_server: Server, call: Callable[..., Result]) -> None:
    content = {"events": [104, 103], "request_time": 1_000_000}
    result = call(int_server, content, "--no-clock", "--k", "1", "--json")
    assert json.loads(result.stdout) == [{"item": 103, "score": 1000.875}]
    result = call(int_server, content, "--k", "1", "--json")
    assert json.loads(result.stdout) == [{"item": 103, "score": 1001.375}]  # within the hour


def test_a_file_that_is_missing_or_binary(int_server: Server, tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, message in ((tmp_path / "none.json", "No such file"), (binary, "no text in UTF-8")):
        assert message in refusal(CliRunner().invoke(app, ["--user-events", str(path)]))


def test_the_program_speaks_without_a_traceback(int_server: Server, tmp_path: Path) -> None:
    events = tmp_path / "events.json"
    events.write_text('[101, "abc"]', encoding="utf-8")
    script = "from tfrec.cli import main; main()"
    arguments = [
        "recommend",
        "--target",
        f"localhost:{int_server.port}",
        "--user-events",
        str(events),
        "--k=1",
    ]
    run = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("Error: events[1].item: expected an integer, found 'abc'")
    assert "Traceback" not in run.stderr
