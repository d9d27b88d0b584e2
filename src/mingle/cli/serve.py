"""mingle serve: the server with its page, from one command."""

import argparse
import os
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mingle.cli import print_json
from mingle.cli.options import add_model_arguments
from mingle.errors import CapacityError, ConfigError

if TYPE_CHECKING:
    from mingle.engine.assistant import Assistant
    from mingle.serving.settings import Settings

KEYS = "MINGLE_API_KEYS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Address, keys, limits."""
    add_model_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address (default: this machine only)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    parser.add_argument("--served-model-name", action="append", default=[], metavar="NAME",
                        help="what clients call the model; further names are aliases")  # fmt: skip
    door = parser.add_argument_group("who may use it")
    door.add_argument("--api-key", action="append", default=[], metavar="KEY",
                      help=f"may be given several times; also ${KEYS}, with commas")  # fmt: skip
    door.add_argument("--no-api-key", action="store_true",
                      help="ask for no key even where others can reach the server")  # fmt: skip
    door.add_argument("--allow-origin", action="append", default=[], metavar="ORIGIN",
                      help="a web page of another origin that may use it")  # fmt: skip
    door.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                      help="another name that this server is addressed by")  # fmt: skip
    door.add_argument("--allow-remote-media", action="store_true",
                      help="fetch public http(s) addresses that requests point to")  # fmt: skip
    limits = parser.add_argument_group("limits")
    for name, kind, default, text in (
        ("requests", int, 64, "answers written at the same time"),
        ("waiting", int, 256, "answers in the queue; more are told to come back"),
        ("cache-tokens", int, 65_536, "tokens of all running conversations"),
        ("remembered", int, 512, "MB of caches kept for requests that begin alike"),
        ("body", int, 64, "MB of one request"),
        ("audio", float, 3600.0, "seconds of one recording"),
        ("decode-seconds", float, 60.0, "for decoding one medium"),
        ("decoder-memory", int, 2048, "MB for decoding one medium"),
        ("painting", float, 500.0, "megapixels x steps of one request; 1024x1024 in 30 steps: 32"),
        ("sessions", int, 16, "live conversations"),
        (
            "live-pictures",
            int,
            48,
            "pictures that a live conversation looks back on, the recent "
            "ones all, older ones thinned",
        ),
        ("session-seconds", float, 3600.0, "of one live conversation"),
        ("idle-seconds", float, 300.0, "without a word in a live conversation"),
    ):
        limits.add_argument(f"--max-{name}", type=kind, default=default,
                            help=f"{text} (default: {default:g})")  # fmt: skip
    parser.add_argument("--open", action="store_true", help="show the page in a browser")
    parser.add_argument(
        "--voices", type=Path, help="folder for added voices (default: beside the models)"
    )


def run(args: argparse.Namespace) -> None:
    """Load the model, then serve until Ctrl-C."""
    settings = _settings(args)
    assistant = _load(args)
    from mingle.serving.app import build_app
    from mingle.serving.run import serve

    def told(address: str) -> None:
        parts, memory = ", ".join(assistant.folder.parts), _memory()
        if args.open:
            webbrowser.open(address)
        if args.json:
            print_json({"address": address, "model": settings.name, "parts": parts.split(", "),
                        "memory_bytes": memory})  # fmt: skip
            sys.stdout.flush()
            return
        keys = "with a key" if settings.key_hashes else "without a key"
        print(f"{settings.name}: {parts}; {memory / 1e9:.1f} GB of memory; {keys}", file=sys.stderr)
        print(f"open {address}  (API: {address}/v1)", file=sys.stderr)

    with assistant:
        serve(build_app(assistant, settings), host=args.host, port=args.port, on_start=told)


def _load(args: argparse.Namespace) -> "Assistant":
    """The model with all its parts; what cannot be loaded is said now, not to the first client."""
    from mingle.engine.assistant import load
    from mingle.engine.scheduler import Limits

    limits = Limits(
        max_requests=args.max_requests,
        max_waiting=args.max_waiting,
        max_cache_tokens=args.max_cache_tokens,
        max_batch_tokens=max(256, args.max_requests),
        max_remembered_bytes=args.max_remembered << 20,
    )
    print(f"loading {args.model} ...", file=sys.stderr)
    assistant = load(args.model, dtype=args.dtype, device=args.device, limits=limits)
    parts = [part for part in assistant.folder.parts if part != "talker"]
    assistant.need(*parts)
    if "talker" in assistant.folder.parts:
        _ = assistant.speech.speaker
    _ = assistant.engine
    if "audio" in parts:
        _fetch_voice_activity()
    return assistant


def _fetch_voice_activity() -> None:
    """The small network that hears turns begin and end; without it clients say so themselves."""
    from mingle.checkpoints.packages import base_folder, fetch
    from mingle.checkpoints.voice_activity import VOICE_ACTIVITY

    try:
        fetch(VOICE_ACTIVITY, base_folder())
    except CapacityError as error:
        print(f"live conversations have no turn detection: {error}", file=sys.stderr)


def _settings(args: argparse.Namespace) -> "Settings":
    from mingle.checkpoints import store
    from mingle.serving.settings import (
        MB,
        MediaLimits,
        RealtimeLimits,
        Settings,
        hash_key,
        is_loopback,
    )

    keys = [*args.api_key, *filter(None, os.environ.get(KEYS, "").split(","))]
    local = is_loopback(args.host)
    if not keys and not local and not args.no_api_key:
        raise ConfigError(
            f"others can reach {args.host}, and no API key is set; give --api-key KEY, "
            "or --no-api-key if everybody may use this server"
        )
    names = args.served_model_name or [Path(args.model).name]
    media = MediaLimits(
        max_audio_s=args.max_audio,
        max_decode_s=args.max_decode_seconds,
        max_decoder_bytes=args.max_decoder_memory * MB,
        remote=args.allow_remote_media,
    )
    realtime = replace(
        RealtimeLimits(),
        max_sessions=args.max_sessions,
        max_session_s=args.max_session_seconds,
        max_idle_s=args.max_idle_seconds,
        max_pictures=args.max_live_pictures,
    )
    return Settings(
        name=names[0],
        aliases=tuple(names[1:]),
        key_hashes=tuple(map(hash_key, keys)),
        hosts=("localhost", "127.0.0.1", "::1", *args.allow_host) if local else (),
        origins=tuple(args.allow_origin),
        voices_folder=args.voices or store.home() / "voices",
        max_body_bytes=args.max_body * MB,
        max_painting=args.max_painting,
        media=media,
        realtime=realtime,
    )


def _memory() -> int:
    """Bytes of memory that this process has used at most."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
