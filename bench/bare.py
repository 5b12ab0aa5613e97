"""A FastAPI route that answers a constant, served as `solve-api` is served: what the framework alone costs."""

import asyncio
from contextlib import closing, suppress

import uvicorn
from fastapi import FastAPI

from solve_api.process import config_of, listen
from solve_api.settings import ApiSettings
from solve_runtime.console import print_json, run_async

app = FastAPI(openapi_url=None)


@app.get("/bare")
async def bare() -> dict[str, str]:
    """A constant."""
    return {"status": "ok"}


def main() -> None:
    """Prints its address, and serves until SIGTERM."""
    settings = ApiSettings().model_copy(update={"api_port": 0})
    with closing(listen(settings)) as listening, suppress(asyncio.CancelledError):
        print_json({"url": f"http://{settings.api_host}:{listening.getsockname()[1]}"})  # it waits in the backlog
        run_async(lambda: uvicorn.Server(config_of(app, settings, listening)).serve())


if __name__ == "__main__":
    main()
