"""Ids that last, and the record of what became of each."""
