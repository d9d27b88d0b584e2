"""The client's sound: where turns begin and end, and pieces of a turn that the model can read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mingle.errors import InputError
from mingle.processing.recording import Recording
from mingle.processing.silence import FRAME_S, loudness
from mingle.processing.speech_activity import (
    RATE_HZ,
    Change,
    SpeechActivity,
    TurnDetector,
    TurnSettings,
)
from mingle.processing.stream_resample import StreamResampler
from mingle.serving.sound import STREAM_HZ, Samples

PIECE_S = 8.0  # a longer turn is read piece by piece, while it is still being spoken
SEARCH_S = 2.0  # a piece ends at the quietest place of its last seconds
SHORTEST_S = 0.1
MAX_TURN_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What the ear noticed: a turn began, a piece of it is whole, or it ended (with its rest)."""

    kind: Literal["started", "piece", "stopped"]
    at_ms: int
    sound: Recording | None = None


class Ear:
    """One session's sound so far. Without a detector the client says when a turn ends."""

    def __init__(
        self,
        make_detector: Callable[[], SpeechActivity] | None,
        settings: TurnSettings,
        longest_s: float,
    ):
        self._activity = make_detector() if make_detector else None
        self._turns = TurnDetector(settings)
        self._resampler = StreamResampler(STREAM_HZ, RATE_HZ)
        self._piece = round(min(PIECE_S, longest_s) * STREAM_HZ)
        self._padding = round(settings.padding_ms * STREAM_HZ / 1000)
        self._held = np.empty(0, np.float32)
        self._start = 0  # where `_held` begins in the stream
        self._turn_samples = 0  # given out of this turn

    @property
    def speaking(self) -> bool:
        """Whether a turn is open."""
        return self._turns.speaking

    @property
    def at_ms(self) -> int:
        """How much has been heard."""
        return _ms(self._start + len(self._held))

    def feed(self, samples: Samples) -> list[Heard]:
        """Take what was sent; computes, so call it in a thread. Raises InputError if too long."""
        self._held = np.concatenate((self._held, samples))
        if self._turn_samples + len(self._held) > MAX_TURN_S * STREAM_HZ:
            raise InputError(f"a turn is longer than {MAX_TURN_S:.0f} s; commit or clear it")
        noticed: list[Heard] = []
        if self._activity is not None:
            for probability in self._activity.feed(self._resampler.feed(samples)):
                change = self._turns.feed(probability)
                if change is not None:
                    noticed.append(self._changed(change))
            if not self.speaking:
                self._forget_silence()
        if (self._activity is None or self.speaking) and len(self._held) > self._piece:
            noticed.append(self._cut())
        return noticed

    def commit(self) -> Recording | None:
        """The rest of a turn that the client ended; None if its pieces are all there is.

        Raises InputError if nothing was heard at all.
        """
        seconds = (self._turn_samples + len(self._held)) / STREAM_HZ
        if seconds < SHORTEST_S:
            raise InputError(
                f"the buffer holds {1000 * seconds:.0f} ms of sound; expected at least "
                f"{1000 * SHORTEST_S:.0f} ms before a commit"
            )
        return self._take(len(self._held))

    def clear(self) -> None:
        """Forget what was not given out yet."""
        self._take(len(self._held))

    def _changed(self, change: Change) -> Heard:
        if change.kind == "started":
            begin = max(self._start, change.at_ms * STREAM_HZ // 1000)
            self._drop(begin - self._start)
            return Heard(kind="started", at_ms=change.at_ms)
        end = change.at_ms * STREAM_HZ // 1000 - self._start
        return Heard(kind="stopped", at_ms=change.at_ms, sound=self._take(max(0, end)))

    def _take(self, length: int) -> Recording | None:
        """End the turn: what it still holds, unless that is too short to be heard."""
        sound = self._held[:length]
        self._drop(length)
        self._turn_samples = 0
        if len(sound) < SHORTEST_S * STREAM_HZ:
            return None
        return Recording(samples=sound, sample_rate_hz=STREAM_HZ)

    def _cut(self) -> Heard:
        """A piece that ends where it is quietest."""
        frame = round(FRAME_S * STREAM_HZ)
        search = self._held[: self._piece][-round(SEARCH_S * STREAM_HZ) :]
        quietest = int(loudness(search, frame).argmin())
        length = max(frame, self._piece - len(search) + quietest * frame)
        sound = Recording(samples=self._held[:length], sample_rate_hz=STREAM_HZ)
        self._drop(length)
        self._turn_samples += length
        return Heard(kind="piece", at_ms=_ms(self._start), sound=sound)

    def _forget_silence(self) -> None:
        """Before a turn, keep only what its beginning may still need."""
        spare = len(self._held) - self._padding - STREAM_HZ // 2
        if spare > 0:
            self._drop(spare)

    def _drop(self, length: int) -> None:
        self._held = self._held[length:]
        self._start += length


def _ms(samples: int) -> int:
    return samples * 1000 // STREAM_HZ
