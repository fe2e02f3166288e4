"""``python -m sourceline``."""

from sourceline.cli import main

if __name__ == "__main__":
    main()
