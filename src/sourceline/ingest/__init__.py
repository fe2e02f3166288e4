"""Files become documents, passages and chunks."""
