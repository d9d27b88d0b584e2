"""A server in a thread."""

import threading
import time
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
        assert thread.is_alive(), "the server did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    server.force_exit = True
    thread.join()
