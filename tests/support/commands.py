"""What a command did."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: str | int | None
    out: str
    err: str

    def json(self) -> Any:
        """Return what was printed, which must be JSON and nothing else."""
        assert (self.code, self.err) == (0, "")
        return json.loads(self.out)


Command = Callable[..., Outcome]
