"""Opens an index of either engine below the front door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sourceline.address import index_address
from sourceline.engines import Reading, engine_of


@contextmanager
def opened(address: str | Path) -> Iterator[Reading]:
    """Yield what a call reads from, of the current snapshot."""
    engine = engine_of(index_address(address))
    try:
        with engine.open(fallback=False).reading() as reading:
            yield reading
    finally:
        engine.close()
