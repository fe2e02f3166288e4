"""Tells sentences that ask from those that tell."""


def asks(text: str) -> bool:
    """Return whether a sentence asks rather than tells.

    >>> asks("What is the budget?"), asks("The budget is 40,000 euros.")
    (True, False)
    """
    return text.rstrip("\"'”’») ").endswith(("?", "？", "؟"))
