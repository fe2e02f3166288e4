"""The command ``sourceline``, also as ``python -m sourceline``."""

import gc
import os


def main() -> None:
    """Prepare the process, then run the command line."""
    # Imports make some hundred thousand objects that stay: looking for garbage among them every 700 takes a tenth of
    # the time to start.
    gc.set_threshold(50_000, 20, 20)
    set_environment()
    from sourceline.cli.main import main

    main()


def set_environment() -> None:
    """Set what libraries read when they are first imported, which is after this."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # Pydantic would ask every installed package whether it plugs in: a thirtieth of a start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # One thread a request: FAISS and numpy would each start a thread a core for work of microseconds, and those threads
    # then spin against each other (measured: 12 ms a question instead of 3.6). Several requests are answered side by
    # side, and a build uses all cores.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


if __name__ == "__main__":
    main()
