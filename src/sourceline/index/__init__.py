"""Vectors and text become files that answer queries."""
