"""Text <-> token ids: byte-level BPE, with special tokens only where a template asks for them."""

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import tokenizers

from mingle.errors import ConfigError, InputError


class Tokenizer:
    """A `tokenizer.json` vocabulary. `encode` takes text as text, whatever it looks like.

    Ids stay as the files state them, gaps included. Immutable and safe to share among threads.
    """

    def __init__(self, definition: Mapping[str, Any], added: Mapping[int, str] | None = None):
        """Build from the content of a tokenizer.json; `added` are more special tokens by id."""
        if "ByteLevel" not in json.dumps(definition.get("decoder")):
            raise ConfigError("the tokenizer's decoder is not ByteLevel; expected byte-level BPE")
        self.special = _special_tokens(definition, added or {})
        self._model = tokenizers.Tokenizer.from_str(_with_special(definition, self.special))
        self._model.encode_special_tokens = True  # their spelling in a text is text
        self._special_bytes = {id_: text.encode() for text, id_ in self.special.items()}
        self._bytes = _byte_alphabet()
        longest_first = sorted(self.special, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        """Read tokenizer.json, and the special tokens that tokenizer_config.json adds to it."""
        definition = _read_json(folder / "tokenizer.json")
        config_file = folder / "tokenizer_config.json"
        config = _read_json(config_file) if config_file.exists() else {}
        listed = cast("dict[str, dict[str, Any]]", config.get("added_tokens_decoder", {}))
        return cls(definition, {int(id_): token["content"] for id_, token in listed.items()})

    @property
    def vocab_size(self) -> int:
        """One more than the greatest id."""
        return max(self._model.get_vocab(with_added_tokens=True).values()) + 1

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text. Raises InputError for text that is not Unicode (half a pair)."""
        try:
            return self._model.encode(text, add_special_tokens=False).ids
        except TypeError as error:
            raise InputError(
                "the text has half of a surrogate pair, which is no character; send valid Unicode"
            ) from error

    def split_special(self, markup: str) -> list[str]:
        """Cut a template's text at its special tokens: text, token, text, ... (text may be '')."""
        return self._split.split(markup)

    def token_id(self, token: str) -> int:
        """The id of a special token. Raises ConfigError if the vocabulary lacks it."""
        if token not in self.special:
            raise ConfigError(f"special token {token!r} is not in the tokenizer's vocabulary")
        return self.special[token]

    def decode(self, ids: Iterable[int], *, keep_special: bool = False) -> str:
        """Text of ids, special tokens left out unless asked for. Broken UTF-8 becomes U+FFFD."""
        decoder = StreamDecoder(self, keep_special=keep_special)
        return decoder.feed(ids) + decoder.finish()

    def token_bytes(self, id_: int, *, keep_special: bool = False) -> bytes:
        """The bytes that a token stands for; none for an id in a gap of the vocabulary."""
        if id_ in self._special_bytes:
            return self._special_bytes[id_] if keep_special else b""
        token = self._model.id_to_token(id_)
        return bytes(self._bytes[char] for char in token) if token is not None else b""


class StreamDecoder:
    """Token ids in, text out as soon as its characters are whole."""

    def __init__(self, tokenizer: Tokenizer, *, keep_special: bool = False):
        self._tokenizer = tokenizer
        self._keep_special = keep_special
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, ids: Iterable[int]) -> str:
        """The text that these ids complete; bytes of an unfinished character wait."""
        pieces = (self._tokenizer.token_bytes(i, keep_special=self._keep_special) for i in ids)
        return self._utf8.decode(b"".join(pieces))

    def finish(self) -> str:
        """What still waits: U+FFFD if the last character was never finished, else nothing."""
        return self._utf8.decode(b"", final=True)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); fetch the model again") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file} holds no JSON object; fetch the model again")
    return cast("dict[str, Any]", content)


def _special_tokens(definition: Mapping[str, Any], added: Mapping[int, str]) -> dict[str, int]:
    """Special tokens of both sources. Raises ConfigError where they contradict each other."""
    special = {
        token["content"]: int(token["id"])
        for token in definition.get("added_tokens", [])
        if token["special"]
    }
    for id_, text in added.items():
        if special.setdefault(text, id_) != id_:
            raise ConfigError(f"special token {text!r} has the ids {special[text]} and {id_}")
    if len(set(special.values())) != len(special):
        raise ConfigError("two special tokens share one id; fetch the tokenizer again")
    return special


def _with_special(definition: Mapping[str, Any], special: Mapping[str, int]) -> str:
    """The definition with every special token also in the model's vocabulary.

    Without that the library would number them anew where the vocabulary has a gap.
    """
    model = {**definition["model"], "vocab": {**definition["model"]["vocab"], **special}}
    plain = [token for token in definition.get("added_tokens", []) if not token["special"]]
    entries = [
        {
            "id": id_,
            "content": text,
            "special": True,
            "normalized": False,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
        }
        for text, id_ in special.items()
    ]
    tokens = sorted(plain + entries, key=lambda token: token["id"])
    return json.dumps({**definition, "model": model, "added_tokens": tokens})


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: the printable characters of Latin-1 stand for themselves, others move."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(0x100 + place): byte for place, byte in enumerate(moved)}
