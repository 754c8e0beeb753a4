"""The version, for what is generated."""

__version__ = "0.1.0"
