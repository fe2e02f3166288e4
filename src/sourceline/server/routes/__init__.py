"""The routes, a file for each subject, and what they depend on: what ``create_app`` put into the app's state."""

from typing import Annotated

from fastapi import Depends, Request

from sourceline.config import Settings
from sourceline.server.live_index import LiveIndex
from sourceline.server.metrics import Metrics
from sourceline.server.rebuilds import Rebuilds


# Coroutines, since FastAPI runs functions in a thread.
async def _live_index(request: Request) -> LiveIndex:
    live_index: LiveIndex = request.app.state.live_index
    return live_index


async def _rebuilds(request: Request) -> Rebuilds:
    rebuilds: Rebuilds = request.app.state.rebuilds
    return rebuilds


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


LiveIndexDependency = Annotated[LiveIndex, Depends(_live_index)]
RebuildsDependency = Annotated[Rebuilds, Depends(_rebuilds)]
SettingsDependency = Annotated[Settings, Depends(_settings)]
MetricsDependency = Annotated[Metrics, Depends(_metrics)]
