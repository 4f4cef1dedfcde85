"""The version of svdlib."""

__version__ = "0.1.0"
