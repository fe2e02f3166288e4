"""Documents become a published snapshot."""
