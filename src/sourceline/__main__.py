"""The command ``sourceline``, also as ``python -m sourceline``."""

import gc


def main() -> None:
    """Run the command line."""
    # Imports make some hundred thousand objects that stay: looking for garbage among them every 700 takes a tenth of
    # the time to start.
    gc.set_threshold(50_000, 20, 20)
    from sourceline.cli.main import main

    main()


if __name__ == "__main__":
    main()
