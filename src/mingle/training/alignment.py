"""When each phone of a recording is said, found by laying it along another voice that tells.

Dynamic time warping (Sakoe and Chiba 1978) between the spectra of two recordings of one sentence.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, Int

from mingle.processing.audio import AudioSettings, log_mel
from mingle.worlds.voices import FLITE, SAMPLE_RATE, Phone, Utterance, synthesise

SETTINGS = AudioSettings(
    sample_rate_hz=SAMPLE_RATE, window=400, hop=160, mels=40, max_seconds=60.0, frames_per_token=1
)
FRAME_S = SETTINGS.hop / SAMPLE_RATE
REACH = 3  # frames; how far a spectrum's change is looked at
SLOPES = (0, 1, 2)  # steps of the told recording for each frame of the other
OFF_COST = 0.3  # of a step that is not one for one
GUIDE = FLITE[0]


def with_phones(spoken: Utterance) -> Utterance:
    """The same recording with phones, as the first voice that tells them says the sentence."""
    told = synthesise(spoken.text, GUIDE)
    path = warp(_features(spoken.samples), _features(told.samples))
    ends = np.array([phone.end_s for phone in told.phones]) / FRAME_S
    frames = np.searchsorted(path, ends)  # the first frame at or behind each end
    length_s = len(spoken.samples) / SAMPLE_RATE
    ends_s = [*np.minimum(frames[:-1] * FRAME_S, length_s).tolist(), length_s]
    phones = tuple(
        Phone(name=phone.name, end_s=end_s)
        for phone, end_s in zip(told.phones, ends_s, strict=True)
    )
    return replace(spoken, phones=phones)


def warp(
    frames: Float[np.ndarray, "frames dim"], told: Float[np.ndarray, "told dim"]
) -> Float[np.ndarray, " frames"]:
    """For each frame the place in `told` that it is like, never going back, from end to end.

    `told` is first stretched to as many frames; each frame then moves on by 0, 1 or 2.
    """
    places = np.linspace(0, len(told) - 1, len(frames))
    stretched = told[places.round().astype(int)]
    distance = -(_unit(frames) @ _unit(stretched).T)
    return places[_path(distance)]


def _path(distance: Float[np.ndarray, "n n"]) -> Int[np.ndarray, " n"]:
    """The cheapest way from the first pair to the last."""
    n = len(distance)
    costs = np.full(n, np.inf)
    costs[0] = distance[0, 0]
    came = np.zeros((n, n), np.int8)
    for i in range(1, n):
        ways = np.full((len(SLOPES), n), np.inf)
        for slope in SLOPES:
            ways[slope, slope:] = costs[: n - slope] + OFF_COST * abs(slope - 1)
        came[i] = ways.argmin(0)
        costs = ways.min(0) + distance[i]
    path, j = np.zeros(n, np.int64), n - 1
    for i in range(n - 1, -1, -1):
        path[i] = j
        j -= int(came[i, j]) if i else 0
    return path


def _features(samples: Float32[np.ndarray, " samples"]) -> Float[np.ndarray, "frames dim"]:
    """Log-mel bands without the voice's own mean and spread, and how they change."""
    mel = log_mel(samples, SETTINGS)
    mel = (mel - mel.mean(0)) / (mel.std(0) + 1e-3)
    change = np.roll(mel, -REACH, axis=0) - np.roll(mel, REACH, axis=0)
    return np.concatenate((mel, change), axis=1)


def _unit(rows: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)
