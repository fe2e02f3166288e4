"""A folder of files becomes documents, passages and windows."""
