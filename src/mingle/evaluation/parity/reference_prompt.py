"""The official way from messages to a prompt, by strings, faults included, and to our Request.

Mingle does not read messages like this (docs/numerics.md lists the differences); the stored cases
do. `as_request` gives what both read alike; the strings are for texts that spell control tokens.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import soundfile

from mingle.errors import InputError
from mingle.messages import Audio, Image, Message, Part, Request, Text, Video, user
from mingle.processing.chat import ChatTemplate
from mingle.processing.footage import open_listed
from mingle.processing.image import ImageSettings, fit_size
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer
from mingle.processing.video import VideoSettings

MARKS = {"image": "<IMAGE>", "video": "<VIDEO>", "audio": "<AUDIO>"}
ROLES: dict[str, Literal["user", "assistant"]] = {"HUMAN": "user", "ASSISTANT": "assistant"}
SIZE_KEYS = (
    "min_pixels",
    "total_pixels",
    "nframes",
    "min_frames",
    "max_frames",
    "max_video_fps",
)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """The messages of a stored case, and the folder that their media paths start from."""

    messages: Sequence[Mapping[str, Any]]
    system: str | None
    thinking: bool
    suffix: str
    folder: Path

    @property
    def contents(self) -> list[Mapping[str, Any]]:
        """The typed parts of all messages, in order."""
        return [part for message in self.messages for part in message["content"]]

    def files(self, kind: str) -> list[Path]:
        """The files of all media of one kind, in order."""
        return [file for part in self.contents if part["type"] == kind for file in self._of(part)]

    def _of(self, part: Mapping[str, Any]) -> list[Path]:
        return [self.folder / file for file in _listed(part)]


def reads_alike(conversation: Conversation, tokenizer: Tokenizer) -> bool:
    """Whether no text spells a special token or a mark: then both readings give one prompt."""
    control = (*tokenizer.special, *MARKS.values())
    texts = [part["text"] for part in conversation.contents if part["type"] == "text"]
    texts += [conversation.system or ""]
    return not any(spelling in text for text in texts for spelling in control)


def as_request(conversation: Conversation, image: ImageSettings, video: VideoSettings) -> Request:
    """The stored messages as a Request of Mingle, media opened as the official code opens them."""
    messages = tuple(
        Message(
            role=ROLES[message["role"]],
            parts=tuple(
                ours
                for part in message["content"]
                for ours in _parts(part, conversation.folder, image, video)
            ),
        )
        for message in conversation.messages
    )
    if conversation.system is not None:
        messages = (Message(role="system", parts=(Text(text=conversation.system),)), *messages)
    return Request(messages=messages, thinking=conversation.thinking, prefill=conversation.suffix)


def official_template(conversation: Conversation, template: ChatTemplate) -> str:
    """The official prompt before media expand. Spelled tags suppress placeholders: a fault."""
    system = template.default_system if conversation.system is None else conversation.system
    thinking = template.thinking_on if conversation.thinking else template.thinking_off
    text = template.system + system + thinking + template.turn_end
    for message in conversation.messages:
        text += template.user if message["role"] == "HUMAN" else template.assistant
        spelled = {kind: str(message["content"]).count(f"<{kind}>") for kind in MARKS}
        for part in message["content"]:
            if part["type"] == "text":
                text += part["text"]
            else:
                missing = len(_listed(part)) - spelled[part["type"]]
                text += "\n".join([MARKS[part["type"]]] * missing)
        text += template.turn_end
    return text + template.assistant


def official_expansion(text: str, request: Request, processor: Processor) -> str:
    """Write the media out where their marks stand, whoever wrote the marks: a fault, too.

    Recordings that find no mark go to the end, each with a newline.
    """
    parts = [part for message in request.messages for part in message.parts]
    for kind, mark in ((Image, "<IMAGE>"), (Video, "<VIDEO>"), (Audio, "<AUDIO>")):
        for part in (part for part in parts if isinstance(part, kind)):
            written = _written(part, processor)
            if mark in text:
                text = text.replace(mark, written, 1)
            elif kind is Audio:
                text += written + "\n"
    return text


def official_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    """Ids with every spelling of a special token taken for the token: the third fault."""
    pieces = enumerate(tokenizer.split_special(text))
    return [
        id_
        for place, piece in pieces
        for id_ in ([tokenizer.token_id(piece)] if place % 2 else tokenizer.encode(piece))
    ]


def list_frame_count(options: Mapping[str, Any], total: int) -> int:
    """How many frames of a list the official pixel budget counts (it reads them all).

    An even number. Raises InputError where the official code refuses.
    """
    most = options.get("max_frames", min(256, total)) // 2 * 2
    if "nframes" in options:
        count = min(total, round(options["nframes"] / 2) * 2, most)
    else:
        wished = total / 2.0 * options.get("max_video_fps", 2.0)
        least = math.ceil(options.get("min_frames", 4) / 2) * 2
        count = int(min(max(wished, least), most, total) // 2 * 2)
    if not 2 <= count <= total:
        raise InputError(f"{count} of {total} frames; the official code wants at least 2")
    return count


def official_recording(file: Path) -> tuple[np.ndarray, int]:
    """Channel 0 of a file, where Mingle mixes all channels."""
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples[:, 0]), rate


def _written(part: Part, processor: Processor) -> str:
    """How one medium is written in a prompt."""
    prompt = processor.prepare(Request(messages=(user(part),)))
    text = processor.tokenizer.decode(prompt.ids.tolist(), keep_special=True)
    template = processor.template
    return text.split(template.user, 1)[1].rsplit(template.turn_end + template.assistant, 1)[0]


def _parts(
    part: Mapping[str, Any], folder: Path, image: ImageSettings, video: VideoSettings
) -> Iterable[Part]:
    """One official part as ours; a list of media stands with newlines between."""
    if part["type"] == "text":
        yield Text(text=part["text"])
        return
    for place, file in enumerate(_listed(part)):
        if place:
            yield Text(text="\n")
        if part["type"] == "image":
            picture = _official_picture(folder / file)
            yield Image(
                source=picture, size=_wished_size(part) or _bounded_size(part, picture, image)
            )
        elif part["type"] == "audio":
            yield Audio(source=official_recording(folder / file))
        else:
            yield _film(part, folder / file, image, video)


def _official_picture(file: Path) -> PIL.Image.Image:
    """Transparency dropped, no turning: where Mingle lays on white and turns upright."""
    with PIL.Image.open(file) as picture:
        return picture.convert("RGB")


def _bounded_size(
    part: Mapping[str, Any], picture: PIL.Image.Image, image: ImageSettings
) -> tuple[int, int] | None:
    """The size that a part's own bounds of pixels give a picture."""
    if "min_pixels" not in part and "max_pixels" not in part:
        return None
    least = part.get("min_pixels", image.min_pixels)
    most = float(part.get("max_pixels", image.max_pixels))
    return fit_size(picture.height, picture.width, image, (least, most))


def _film(part: Mapping[str, Any], path: Path, image: ImageSettings, video: VideoSettings) -> Video:
    """A film with the official options; they count for folders of frames only."""
    if not path.is_dir():
        return Video(source=path, size=_wished_size(part))
    total = open_listed(path).count
    return Video(
        source=path,
        frames_per_second=part.get("max_video_fps", 2.0),
        max_frames=total,
        size=_wished_size(part) or _listed_size(part, path, image, video),
    )


def _listed_size(
    part: Mapping[str, Any], path: Path, image: ImageSettings, video: VideoSettings
) -> tuple[int, int] | None:
    """The size that options other than the usual ones give a folder of frames."""
    if not any(key in part for key in SIZE_KEYS):
        return None
    footage = open_listed(path)
    height, width = next(footage.frames([min(1, footage.count - 1)])).shape[:2]
    least = part.get("min_pixels", video.min_pixels)
    total = part.get("total_pixels", video.total_pixels)
    most = max(total / list_frame_count(part, footage.count) * 2, int(least * 1.05))
    return fit_size(height, width, image, (least, most))


def _wished_size(part: Mapping[str, Any]) -> tuple[int, int] | None:
    if "resized_height" in part and "resized_width" in part:
        return part["resized_height"], part["resized_width"]
    return None


def _listed(part: Mapping[str, Any]) -> list[str]:
    media = part[part["type"]]
    return list(media) if isinstance(media, list) else [media]
