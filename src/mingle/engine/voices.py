"""Voices: presets that come with a model, and cloning from reference recordings."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from mingle.checkpoints.speech_files import Preset
from mingle.errors import CapacityError, CheckpointError, InputError, missing_extra
from mingle.messages import MediaSource
from mingle.processing.kaldi import filterbank
from mingle.processing.recording import Recording, decode_recording
from mingle.processing.resample import resample
from mingle.processing.silence import FRAME_S, QUIET_DB, loudness
from mingle.processing.sources import describe
from mingle.talker.speech import SpeechModel
from mingle.talker.voice import Voice

SPEAKER_HZ = 16000  # what the speaker encoder hears
SHORTEST_S, LONGEST_S = 1.0, 60.0
SILENT_DB = -50.0  # the loudest 20 ms must be above this, below full scale
MOST_CLIPPED = 0.01  # share of samples at full scale
MARGIN_S = 0.1  # of silence kept around the speech
LEVEL_DB = -26.0  # root mean square below full scale: room for the peaks of speech

SpeakerEncoder = Callable[[Float32[np.ndarray, " samples"]], Float32[np.ndarray, " speaker_dim"]]


class VoiceBook:
    """The voices of one model, cloned when they are first asked for."""

    def __init__(
        self, model: SpeechModel, encoder: SpeakerEncoder | None, presets: Mapping[str, Preset]
    ):
        self.model = model
        self.presets = dict(presets)
        self._encoder = encoder
        self._known: dict[str, Voice] = {}

    def find(self, name: str) -> Voice:
        """A preset by its name. Raises InputError for one that is not there."""
        if name not in self.presets:
            known = ", ".join(self.presets) or "none (clone one from a recording)"
            raise InputError(f"there is no voice '{name}'; known: {known}")
        if name not in self._known:
            preset = self.presets[name]
            if preset.vector is not None:
                volume = 1.0
                if preset.level_db is not None:
                    volume = 10 ** ((LEVEL_DB - preset.level_db) / 20)
                width = self.model.talker.config.speaker_dim
                if len(preset.vector) != width:
                    raise CheckpointError(
                        f"the vector of voice '{name}' has {len(preset.vector)} numbers, this "
                        f"talker reads {width}; voices and talker are of different exports"
                    )
                speakers = torch.tensor([preset.vector])
                voice = Voice(name=name, speakers=speakers, volume=volume)
            else:
                voice = self.clone(preset.recordings, transcript=preset.transcript, name=name)
            self._known[name] = voice
        return self._known[name]

    def clone(
        self,
        recordings: Sequence[MediaSource],
        *,
        transcript: str | None = None,
        name: str = "clone",
    ) -> Voice:
        """The voice of the one person who speaks in the recordings, of any format.

        With a transcript of all of them the clone is closer. Raises InputError for recordings
        that are silent, clipped, shorter than 1 s or longer than 60 s together; CapacityError if
        the model has no speaker encoder.
        """
        if self._encoder is None:
            raise CapacityError("this model has no speaker encoder, so it cannot clone voices")
        if not recordings:
            raise InputError("cloning a voice needs at least one recording")
        heard = [prepare_reference(source) for source in recordings]
        if (seconds := sum(one.seconds for one in heard)) > LONGEST_S:
            raise InputError(
                f"the recordings last {seconds:.0f} s together; at most {LONGEST_S:.0f} s are used"
            )
        vectors = [self._encoder(_at(one, SPEAKER_HZ)) for one in heard]
        rate = self.model.config.sample_rate_hz
        wave = np.concatenate([_at(one, rate) for one in heard])
        weight = self.model.talker.like
        latents = self.model.latents_of(torch.from_numpy(wave).to(weight))
        return Voice(
            name=name,
            speakers=torch.from_numpy(np.mean(vectors, axis=0))[None].to(weight),
            latents=latents,
            transcript=transcript,
        )


def prepare_reference(source: MediaSource) -> Recording:
    """Decode, mix to mono, check, and trim the silence around the speech. Raises InputError."""
    recording = decode_recording(source, max_seconds=LONGEST_S)
    what = f"the reference recording {describe(source)}"
    samples, rate = recording.samples, recording.sample_rate_hz
    if recording.seconds < SHORTEST_S:
        raise InputError(
            f"{what} lasts {recording.seconds:.2f} s; at least {SHORTEST_S:.0f} s are needed"
        )
    frame = max(1, round(FRAME_S * rate))
    level = loudness(samples, frame)
    if level.max() < SILENT_DB:
        raise InputError(f"{what} is silent ({level.max():.0f} dB at its loudest); check the file")
    clipped = float((np.abs(samples) >= 0.999).mean())
    if clipped > MOST_CLIPPED:
        raise InputError(
            f"{what} is clipped ({clipped:.0%} of its samples are at full scale); "
            "record it with less gain"
        )
    loud = np.flatnonzero(level > level.max() + QUIET_DB)
    margin = round(MARGIN_S * rate)
    start, end = loud[0] * frame - margin, (loud[-1] + 1) * frame + margin
    trimmed = Recording(samples=samples[max(0, start) : end], sample_rate_hz=rate)
    if trimmed.seconds < SHORTEST_S:
        raise InputError(
            f"{what} has {trimmed.seconds:.2f} s of sound between silences; "
            f"at least {SHORTEST_S:.0f} s are needed"
        )
    return trimmed


def open_speaker_encoder(file: Path) -> SpeakerEncoder:
    """CAM++ as an ONNX file: samples at 16 kHz -> speaker vector. Raises CheckpointError."""
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("speech", "onnxruntime") from error
    faults: Any = onnxruntime.capi.onnxruntime_pybind11_state  # pyright: ignore[reportAttributeAccessIssue]
    broken = (faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.NoSuchFile)
    try:
        session: Any = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except broken as error:
        raise CheckpointError(f"{file} is not a readable ONNX model: {error}") from error
    name = session.get_inputs()[0].name

    def encode(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " speaker_dim"]:
        features = filterbank(samples)
        features = features - features.mean(axis=0, keepdims=True)
        return session.run(None, {name: features[None]})[0].reshape(-1).astype(np.float32)

    return encode


def _at(recording: Recording, rate: int) -> Float32[np.ndarray, " samples"]:
    return resample(recording.samples, recording.sample_rate_hz, rate)
