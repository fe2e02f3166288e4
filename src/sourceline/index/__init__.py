"""What is on the disk: vectors, terms, tokens and passages of a snapshot."""
