"""Sourceline: the exact sentences that answer a question, with citations that last."""

__version__ = "0.1.0"
