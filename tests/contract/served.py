"""A server in a thread, on the miniature: what the contract tests talk to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from scripted import ScriptedEngine

import mingle
from mingle.engine.assistant import Assistant
from mingle.serving.app import build_app
from mingle.serving.house import House
from mingle.serving.settings import Settings

NAME = "miniature"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server is, and its inner parts."""

    url: str
    house: House

    @property
    def port(self) -> int:
        """Of the socket."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def served(assistant: Assistant, settings: Settings | None = None) -> Iterator[Place]:
    """A server of this assistant; it ends with the block, the engine too."""
    settings = replace(settings or Settings(name=NAME), grace_s=1.0)
    app = build_app(assistant, settings)
    most = settings.realtime.max_event_bytes
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws_max_size=most)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Place(url=f"http://127.0.0.1:{port}", house=app.state.house)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        assert not thread.is_alive()


def scripted(folder: Path, engine: ScriptedEngine) -> Assistant:
    """The miniature with another engine: it says what the script says."""
    assistant = mingle.load(str(folder))
    assistant.__dict__["engine"] = engine
    return assistant
