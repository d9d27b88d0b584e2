"""An engine that says what it was told to say: for what random weights do not answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from mingle.engine.activity import ExpertUse
from mingle.engine.engine import Load
from mingle.engine.scheduler import Limits
from mingle.messages import Event, Finished, Request, TextDelta, Usage

Script = Callable[[Request], list[TextDelta | str]]


class ScriptedEngine:
    """Streams a script, a delta every `pause_s`; notes requests, and those that were left early."""

    limits = Limits()
    experts = ExpertUse()
    load = Load(running=0, waiting=0, reserved_tokens=0, remembered_bytes=0)

    def __init__(self, script: Script, pause_s: float = 0.0):
        self.script, self.pause_s = script, pause_s
        self.requests: list[Request] = []
        self.left: list[Request] = []

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        self.requests.append(request)
        whole = False
        said = self.script(request) if request.max_new_tokens else []
        try:
            for delta in said:
                await asyncio.sleep(self.pause_s)
                yield TextDelta(text=delta, token_ids=(1,)) if isinstance(delta, str) else delta
            usage = Usage(prompt_tokens=7, completion_tokens=len(said), cached_tokens=2)
            whole = True
            yield Finished(reason="stop", usage=usage)
        finally:
            if not whole:
                self.left.append(request)

    def close(self) -> None:
        """Nothing runs."""
