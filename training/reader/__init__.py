"""Trains the reader, in stages."""
