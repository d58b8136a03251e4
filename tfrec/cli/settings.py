"""`tfrec settings`."""

import typer

from tfrec.cli.app import needs_extra


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(settings)


def settings() -> None:
    """Print every setting of `tfrec train` with its default and meaning, as a file for --config."""
    with needs_extra("settings", "train"):
        from tfrec.settings_reference import reference
    typer.echo(reference(), nl=False)
