"""What goes over the wire, one file a route. pydantic lives here and in the settings only."""
