"""Every citation ever issued, and what became of it."""
