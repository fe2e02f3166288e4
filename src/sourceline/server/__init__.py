"""The HTTP API."""

from pydantic import BaseModel

# Of the models that FastAPI has of OpenAPI, whose validators take a twentieth of the time to start: they are built when
# the description is asked for. The server's own say otherwise.
BaseModel.model_config["defer_build"] = True
