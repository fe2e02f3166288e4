"""Tests that come in two sizes: one that is quick, and the whole one, which takes long and rarely finds more."""

from typing import Any

import pytest


def sizes(names: str, quick: Any, whole: Any) -> pytest.MarkDecorator:
    """Parametrize a test with what is quick, and with the whole of it if it runs with ``-m torture``.

    Several names take tuples, as in ``pytest.mark.parametrize``.
    """
    several = whole if "," in names else (whole,)
    return pytest.mark.parametrize(names, [quick, pytest.param(*several, marks=pytest.mark.torture)])
