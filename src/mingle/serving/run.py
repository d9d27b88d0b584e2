"""Running the server: one process, one socket, a shutdown that ends answers cleanly."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mingle.errors import CapacityError
from mingle.serving.house import House

FORCED_S = 5.0
"""After the engine is stopped, connections that still hang are cut."""


class Server(uvicorn.Server):
    """Uvicorn, which when told to stop lets answers finish for a while and then ends them."""

    def __init__(self, config: uvicorn.Config, house: House, on_start: Callable[[], None]):
        super().__init__(config)
        self._house, self._on_start = house, on_start

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take nothing new."""
        super().handle_exit(sig, frame)
        self._house.closing = True

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Let running answers finish for the grace; then the engine ends them, and they say so."""
        loop = asyncio.get_running_loop()
        close = self._house.assistant.close
        grace = self._house.settings.grace_s
        ending = loop.call_later(grace, lambda: loop.run_in_executor(None, close))
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()


def serve(app: FastAPI, *, host: str, port: int, on_start: Callable[[str], None]) -> None:
    """Serve until a signal comes. `on_start` is told the address. Raises CapacityError if taken."""
    house: House = app.state.house
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=round(house.settings.grace_s + FORCED_S),
        ws_max_size=house.settings.realtime.max_event_bytes,
        server_header=False,
    )
    try:
        bound = config.bind_socket()
    except SystemExit as error:  # uvicorn's way to say that the port is taken
        raise CapacityError(
            f"{host}:{port} cannot be listened on (taken, or not allowed); choose another --port"
        ) from error
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{bound.getsockname()[1]}"
    server = Server(config, house, lambda: on_start(address))
    with bound:
        server.run(sockets=[bound])
