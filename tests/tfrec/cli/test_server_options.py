"""What a server's command is told reaches its settings."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from serving.settings import BatchSettings
from tfrec.cli import retrieval, serve

BATCHING = {"--max-batch-size": 3, "--max-batch-events": 77}
OF_ITS_OWN = {"--batch-timeout-us": 5, "--max-enqueued": 6, "--workers": 7}


def settings_of(monkeypatch: pytest.MonkeyPatch, module: Any, *words: object) -> Any:
    """What the command would serve."""
    found: list[Any] = []
    monkeypatch.setattr(
        module, "run_server", lambda command, server, settings, *_, **__: found.append(settings)
    )
    app = typer.Typer()
    app.callback()(lambda: None)
    module.register(app)
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    return found[0]


def spelled(options: dict[str, int]) -> list[object]:
    return [word for pair in options.items() for word in pair]


def test_how_requests_are_computed_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = spelled(BATCHING | OF_ITS_OWN)
    asked = settings_of(monkeypatch, serve, "serve", tmp_path, *words)
    assert asked.batching == BatchSettings(3, 77, 5, 6, 7)
    words = [tmp_path, "--servable", tmp_path, *spelled(BATCHING)]
    asked = settings_of(monkeypatch, retrieval, "retrieval", *words)
    assert (asked.batching.max_batch_size, asked.batching.max_batch_events) == (3, 77)
