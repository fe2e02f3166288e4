"""What trains the parts that are shipped. Not part of the package."""
