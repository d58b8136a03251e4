"""The program `tfrec`: a module a command, thin; heavy imports inside the commands."""

from tfrec.cli.app import main

__all__ = ["main"]
