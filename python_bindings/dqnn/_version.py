"""The version, for whoever must not import the whole package's names. pyproject.toml has it, too."""

__version__ = "0.1.0"
