"""Decoding in processes apart: a hostile file can end one of them, and nothing else."""

import asyncio
import contextlib
import hashlib
import json
import math
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pixels

from mingle.errors import CapacityError, InputError
from mingle.messages import Audio, Image, Part, Video
from mingle.processing.image import Patches
from mingle.processing.ready import LogMel, MediaSettings
from mingle.processing.recording import Recording
from mingle.processing.video import Film
from mingle.serving.decoder_worker import LENGTH, Facts, Job, Purpose
from mingle.serving.settings import MediaLimits

Array = NDArray[Any]
DTYPES = ("<f4", "|u1")
MAX_HEAD = 2**20


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a decoder made of one medium."""

    facts: Facts
    arrays: tuple[Array, ...]

    @property
    def num_bytes(self) -> int:
        """Memory of the arrays."""
        return sum(array.nbytes for array in self.arrays)


class Decoders:
    """A few decoder processes and the memory of what they made. For one event loop."""

    def __init__(self, settings: MediaSettings, limits: MediaLimits):
        self.settings, self.limits = settings, limits
        self.restarts = 0
        self._idle: list[Process] = []
        self._room = asyncio.Semaphore(limits.decoders)
        self._memory: OrderedDict[bytes, Result] = OrderedDict()

    async def read(self, part: Part) -> Part:
        """The part ready for the thinker. Raises InputError for media that cannot be used."""
        result = await self._decode("read", part)
        if isinstance(part, Audio):
            return replace(part, source=LogMel(frames=result.arrays[0]))
        grids = result.facts["grids"]
        made = [Patches(values=v, grid=tuple(g)) for v, g in zip(result.arrays, grids, strict=True)]
        if isinstance(part, Image):
            return replace(part, source=made[0])
        assert isinstance(part, Video)
        film = Film(pairs=tuple(made), seconds=tuple(result.facts["seconds"]))
        return replace(part, source=film)

    async def listen(self, data: bytes) -> Recording:
        """A recording's samples. Raises InputError for sound that cannot be used."""
        result = await self._decode("listen", Audio(source=data))
        return Recording(samples=result.arrays[0], sample_rate_hz=int(result.facts["rate"]))

    async def picture(self, data: bytes) -> Pixels.Image:
        """A picture to paint on, upright RGB or RGBA. Raises InputError for none."""
        result = await self._decode("paint", Image(source=data))
        return Pixels.fromarray(result.arrays[0])

    async def close(self) -> None:
        """End the processes."""
        for process in self._idle:
            await _end(process)
        self._idle.clear()

    @property
    def pids(self) -> list[int]:
        """The processes that wait for work."""
        return [process.pid for process in self._idle]

    async def _decode(self, purpose: Purpose, part: Part) -> Result:
        source: Any = getattr(part, "source", None)
        assert isinstance(source, bytes), "what came over the wire is bytes"
        told = repr((purpose, replace(part, source=b""))).encode()
        key = hashlib.sha256(told + hashlib.sha256(source).digest()).digest()
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        job = Job(
            purpose=purpose,
            part=part,
            settings=self.settings,
            max_audio_s=self.limits.max_audio_s,
        )
        async with self._room:
            result = await self._run(job)
        if (message := result.facts.get("error")) is not None:
            raise (CapacityError if result.facts["kind"] == "capacity" else InputError)(message)
        self._remember(key, result)
        return result

    def _remember(self, key: bytes, result: Result) -> None:
        self._memory[key] = result
        used = sum(one.num_bytes for one in self._memory.values())
        while used > self.limits.max_remembered_bytes:
            _, oldest = self._memory.popitem(last=False)
            used -= oldest.num_bytes

    async def _run(self, job: Job) -> Result:
        """Give the job to a process; one that fails in any way is ended and not used again."""
        process = await self._take()
        whole = False
        try:
            async with asyncio.timeout(self.limits.max_decode_s):
                result = await _ask(process, job)
            whole = True
            return result
        except TimeoutError as error:
            raise InputError(
                f"the medium took longer than {self.limits.max_decode_s:.0f} s to decode; "
                "send a shorter or smaller one"
            ) from error
        except (EOFError, OSError, ValueError) as error:
            raise InputError(
                "the medium ended the process that decoded it (damaged, or too large for "
                f"{self.limits.max_decoder_bytes / 1e9:.0f} GB of memory); send another file"
            ) from error
        finally:
            if whole:
                self._idle.append(process)
            else:
                self.restarts += 1
                await _end(process)

    async def _take(self) -> Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self.restarts += 1  # it was killed while it waited
        command = [sys.executable, "-m", "mingle.serving.decoder_worker"]
        return await asyncio.create_subprocess_exec(
            *command,
            str(self.limits.max_decoder_bytes),
            stdin=PIPE,
            stdout=PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the server
        )


async def _ask(process: Process, job: Job) -> Result:
    """Send a job, read its result. Raises EOFError, OSError or ValueError for a broken answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    told = pickle.dumps(job)
    process.stdin.write(LENGTH.pack(len(told)) + told)
    await process.stdin.drain()
    length = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))[0]
    if length > MAX_HEAD:
        raise ValueError("a result without measure")
    head = json.loads(await process.stdout.readexactly(length))
    arrays = [await _array(process.stdout, dtype, shape) for dtype, shape in head["arrays"]]
    return Result(facts=dict(head["facts"]), arrays=tuple(arrays))


async def _array(stream: asyncio.StreamReader, dtype: str, shape: Sequence[int]) -> Array:
    if dtype not in DTYPES or any(side < 0 for side in shape):
        raise ValueError("a result of another kind")
    kind = np.dtype(dtype)
    data = await stream.readexactly(kind.itemsize * math.prod(shape))
    return np.frombuffer(data, kind).reshape(shape).copy()  # writable, as torch wants it


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _environment() -> dict[str, str]:
    """What Python needs to start, and no secrets."""
    kept = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads cost address space
    return {name: os.environ[name] for name in kept if name in os.environ} | threads
