"""Where a request's media come from: inside it (base64, data URLs), or fetched where allowed."""

import base64
import binascii
from urllib.parse import unquote_to_bytes

from mingle.errors import InputError
from mingle.serving.remote import fetch
from mingle.serving.settings import MediaLimits


async def bytes_of(url: str, what: str, limits: MediaLimits) -> bytes:
    """The bytes of a data: URL, or of an http(s) address if the server may fetch those.

    Raises InputError for anything else: never a file of this machine.
    """
    scheme = url[:16].partition(":")[0].lower()
    if scheme == "data":
        return _from_data_url(url, what)
    if scheme not in ("http", "https"):
        raise InputError(
            f"{what}: the address is neither data: nor http(s):; send the bytes as a data: URL"
        )
    if not limits.remote:
        raise InputError(
            f"{what}: this server fetches no addresses; send the bytes as a data: URL "
            "(or start it with --allow-remote-media)"
        )
    return await fetch(url, limits)


def from_base64(text: str, what: str) -> bytes:
    """Decode base64. Raises InputError for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{what}: the data is no base64 ({error}); encode it again") from error


def data_url(data: bytes, media_type: str) -> str:
    """Bytes as a data: URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _from_data_url(url: str, what: str) -> bytes:
    head, found, data = url.partition(",")
    if not found:
        raise InputError(f"{what}: the data: URL has no comma; expected data:TYPE;base64,DATA")
    if head.endswith(";base64"):
        return from_base64(data, what)
    return unquote_to_bytes(data)
