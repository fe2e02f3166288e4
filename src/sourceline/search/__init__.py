"""A question becomes ranked passages; a citation is looked up."""
