"""What a server allows: addresses, keys, sizes, times. Plain data, set once at the start."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from mingle.errors import ConfigError

MB = 2**20
FEWEST = 4  # pictures that can be thinned


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """Limits on each uploaded medium, and on the process that decodes it."""

    max_audio_s: float = 3600.0
    max_decode_s: float = 60.0
    """Wall time of decoding one medium."""
    max_decoder_bytes: int = 2048 * MB
    """Address space of a decoder process."""
    decoders: int = 2
    max_remembered_bytes: int = 256 * MB
    """Decoded media that are kept for the next request with the same ones."""
    remote: bool = False
    """Whether http(s) addresses in requests are fetched."""
    max_remote_bytes: int = 64 * MB
    max_remote_s: float = 20.0


@dataclass(frozen=True, kw_only=True)
class RealtimeLimits:
    """Limits on live conversations."""

    max_sessions: int = 16
    max_session_s: float = 3600.0
    max_idle_s: float = 300.0
    """Without a word from the client."""
    resume_s: float = 120.0
    """How long a session whose connection dropped can be taken up again."""
    max_event_bytes: int = 16 * MB
    max_waiting_bytes: int = 8 * MB
    """Unsent output at which a session waits for a slow client."""
    window_s: float = 600.0
    """Pictures are forgotten before they are older than this; words are not."""
    max_pictures: int = 48
    """Pictures before the model at once, unless it knows fewer; beyond that older ones are thinned.

    The more an answer looks back on, the longer it takes.
    """

    def __post_init__(self) -> None:
        if self.max_pictures < FEWEST:
            raise ConfigError(
                f"a live conversation may look back on {self.max_pictures} pictures; expected at "
                f"least {FEWEST}, for half of them are thinned out when there are more"
            )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One server's own options; how the model is run is the engine's business."""

    name: str
    aliases: tuple[str, ...] = ()
    """Other names that clients may ask for: some know no other than "tts-1"."""
    key_hashes: tuple[bytes, ...] = ()
    """SHA-256 of each key; empty: no key is asked for."""
    hosts: tuple[str, ...] = ()
    """Names it may be addressed by (Host header); empty: any."""
    origins: tuple[str, ...] = ()
    """Web pages of other origins that may use it."""
    voices_folder: Path | None = None
    """Where added voices are kept; None: in memory."""
    max_body_bytes: int = 64 * MB
    default_max_tokens: int = 1024
    max_choices: int = 8
    max_speakers: int = 4
    """Speech that is made at the same time; pictures are painted one after another."""
    max_queued: int = 32
    """Requests that wait for the talker, or for the painter."""
    max_painting: float = 500.0
    """Megapixels times denoising steps of one request, its pictures together."""
    grace_s: float = 10.0
    """How long running answers may go on when the server stops."""
    media: MediaLimits = field(default_factory=MediaLimits)
    realtime: RealtimeLimits = field(default_factory=RealtimeLimits)


def hash_key(key: str) -> bytes:
    """What is kept of an API key. Raises ConfigError for one that is too easily guessed."""
    if len(key) < 8:
        raise ConfigError(f"an API key has {len(key)} characters; expected at least 8")
    return hashlib.sha256(key.encode()).digest()


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
