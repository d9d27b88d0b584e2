"""Asking for a transcript: the request, steered by language, context and hotwords."""

from collections.abc import Sequence

from mingle.errors import InputError
from mingle.messages import Audio, MediaSource, Message, Request, Text
from mingle.processing.chat import RecognitionPrompt


def recognition_request(
    audio: MediaSource,
    prompt: RecognitionPrompt,
    *,
    language: str = "",
    dialect: str = "",
    context: str = "",
    hotwords: Sequence[str] = (),
) -> Request:
    """Build the request for one recording. All hints are optional.

    `language` is a code (zh, en) or a name as the model writes it; `dialect`, as the model writes
    it, is more precise and wins. `context` says in a few words what the recording is about.
    Raises InputError for a hotword that holds the separator. (SPEC_PERCEPTION 6)
    """
    text = prompt.instruction
    if context.strip():
        text += prompt.context.format(hint=context.strip())
    words = [word.strip() for word in hotwords if word.strip()]
    for word in words:
        if prompt.separator in word:
            raise InputError(
                f"hotword {word!r} contains {prompt.separator!r}, which separates hotwords; "
                "give its parts as hotwords of their own"
            )
    if words:
        text += prompt.hotwords.format(hint=prompt.separator.join(words))
    name = dialect or prompt.languages.get(language.lower(), language)
    return Request(
        messages=(Message(role="user", parts=(Text(text=text), Audio(source=audio))),),
        prefill=prompt.answer.format(language=name) if name else "",
    )


def split_recognition(answer: str, prompt: RecognitionPrompt) -> tuple[str, str]:
    """(language, transcript) of a whole answer, prefill included; language '' if it tells none."""
    mark = prompt.answer.partition("{language}")[2]
    head, found, rest = answer.partition(mark) if mark else ("", "", "")
    return (head.strip(), rest.strip()) if found else ("", answer.strip())
