"""The server's one application: routes behind a door, and the page before them."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mingle import __version__
from mingle.engine.assistant import Assistant
from mingle.serving.chat import chat_routes
from mingle.serving.faults import handle_errors, kind_of
from mingle.serving.guard import Guard
from mingle.serving.house import House
from mingle.serving.images import image_routes
from mingle.serving.realtime.socket import Sessions, realtime_routes
from mingle.serving.responses import responses_routes
from mingle.serving.settings import Settings
from mingle.serving.speech import speech_routes
from mingle.serving.status import status_routes
from mingle.serving.tidy import tidy
from mingle.serving.transcriptions import transcription_routes
from mingle.serving.voices import voice_routes

log = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
ROUTES = (
    status_routes,
    chat_routes,
    responses_routes,
    transcription_routes,
    speech_routes,
    voice_routes,
    image_routes,
)


def build_app(assistant: Assistant, settings: Settings) -> FastAPI:
    """The application of one model. Its state holds the House."""
    house = House(assistant, settings)
    sessions = Sessions(house)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        tidying = asyncio.create_task(tidy())
        yield
        tidying.cancel()
        await sessions.close()
        await house.close()

    app = FastAPI(
        title="Mingle",
        version=__version__,
        lifespan=life,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.house = house
    handle_errors(app)
    for routes in ROUTES:
        app.include_router(routes(house))
    app.include_router(realtime_routes(house, sessions))
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True))
    app.add_middleware(Guard, settings=settings)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(Journal, house=house)
    return app


class Journal:
    """Counts and logs each request by its route, never by its content. The outermost layer."""

    def __init__(self, app: ASGIApp, house: House):
        self.app, self.house = app, house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note what was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.monotonic(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route: Any = scope.get("route")
            path = str(getattr(route, "path", "other"))
            self.house.metrics.requests.labels(path, str(status)).inc()
            if status >= 400:
                self.house.metrics.errors.labels(kind_of(status)).inc()
            log.info("%s %s %d %.3fs", scope["method"], path, status, time.monotonic() - start)
