"""The command line."""

from svdlib.cli.parser import main

__all__ = ["main"]
