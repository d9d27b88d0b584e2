"""A judge of voices: Resemblyzer's speaker encoder, which is no part of any model here.

Three recurrent layers over 40 mel bands, trained to tell speakers apart (GE2E, Wan et al. 2018).
The weights are in the wheel `Resemblyzer` (Apache-2.0); nothing of it is imported.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints import packages
from mingle.checkpoints.packages import PackagedFile
from mingle.processing.audio import mel_filters

NAME = "Resemblyzer's speaker encoder"
RATE_HZ = 16_000
WINDOW, HOP, MELS = 400, 160, 40
PART = 160  # frames that the encoder hears at a time
EVERY = 77  # frames from one part to the next: 1.3 parts a second
DIM = 256
LOUDNESS = 10 ** (-30 / 20)  # root mean square that quieter recordings are raised to
QUIET = 0.05  # of the loudest 30 ms: what is below it is silence
FILE = PackagedFile(
    requirement=(
        "Resemblyzer==0.1.4 "
        "--hash=sha256:8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"
    ),
    member="resemblyzer/pretrained.pt",
    name="resemblyzer.pt",
    sha256="39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    num_bytes=17_090_379,
)


class SpeakerJudge(nn.Module):
    """Recordings -> unit vectors; those of one speaker lie close together."""

    def __init__(self) -> None:
        """Fetch the weights if they are missing. Raises CapacityError without network."""
        super().__init__()
        self.lstm = nn.LSTM(MELS, DIM, num_layers=3, batch_first=True)
        self.linear = nn.Linear(DIM, DIM)
        path = packages.fetch(FILE, packages.base_folder())
        stored = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        self.load_state_dict({k: v for k, v in stored.items() if not k.startswith("similarity")})

    @torch.no_grad()
    def hear(self, samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "256"]:
        """The voice of a recording at 16 kHz, as the mean over parts of 1.6 s."""
        mel = torch.from_numpy(mel_power(without_silence(samples)))
        starts = range(0, max(1, len(mel) - PART // 2), EVERY)
        parts = [F.pad(part := mel[s : s + PART], (0, 0, 0, PART - len(part))) for s in starts]
        vectors = self(torch.stack(parts))
        return F.normalize(vectors.mean(0), dim=0).numpy()

    def forward(self, mel: Float[Tensor, "parts frames mels"]) -> Float[Tensor, "parts 256"]:
        """A unit vector for each part."""
        _, (hidden, _) = self.lstm(mel)
        return F.normalize(self.linear(hidden[-1]).relu(), dim=-1)


def mel_power(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "frames mels"]:
    """Power in mel bands every 10 ms, at a loudness of at least -30 dB."""
    loudness = float(np.sqrt(np.mean(np.square(samples)))) or 1.0
    raised = np.pad(samples * max(1.0, LOUDNESS / loudness), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(raised, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    return (power @ mel_filters(RATE_HZ, WINDOW, MELS).T).astype(np.float32)


def without_silence(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " kept"]:
    """Pieces of 30 ms that are not much quieter than the loudest one."""
    pieces = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    loudness = np.sqrt(np.mean(np.square(pieces), axis=1))
    kept = pieces[loudness >= QUIET * loudness.max(initial=0.0)].reshape(-1)
    return kept if len(kept) else samples
