"""The campaigns of ``torture.py``: each tries to break Sourceline from outside, and counts what is false."""
