"""The Model Context Protocol: the same index as tools and resources of an assistant program."""

from importlib.util import find_spec

MISSING = "mcp is missing: pip install 'sourceline[mcp]'"


def is_installed() -> bool:
    """Return whether the SDK is there. Importing it takes a second: that is left to who uses it."""
    return find_spec("mcp") is not None
