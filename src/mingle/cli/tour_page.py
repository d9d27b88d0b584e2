"""What the tour leaves behind: one folder with a page, and everything to see and hear beside it."""

import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mingle.cli import sheet
from mingle.messages import SpeechChunk

if TYPE_CHECKING:
    import PIL.Image


@runtime_checkable
class Out(Protocol):
    """A stream of text, such as stdout."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


@dataclass
class Card:
    """One scene on the page: lines of (class, text), and its figures in HTML."""

    title: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)


class Board:
    """Where scenes are played: told on `out` as they go, and kept in `folder` as a page.

    `model` is what the model is called there.
    """

    def __init__(self, out: Out, folder: Path, model: str):
        self.out, self.folder, self.name = out, folder, model
        self.cards: list[Card] = []
        folder.mkdir(parents=True, exist_ok=True)

    def scene(self, title: str) -> None:
        """Begin a scene."""
        self.cards.append(Card(title))
        print(f"\n--- {title}", file=self.out, flush=True)

    def you(self, text: str) -> None:
        """What the user says."""
        self._say("you", "you:  ", text)

    def model(self, text: str) -> None:
        """What the model says."""
        self._say("model", f"{self.name}: ", text)

    def model_writes(self, pieces: Iterable[str]) -> str:
        """What the model says, shown as it comes; returns all of it."""
        print(f"{self.name}: ", end="", file=self.out, flush=True)
        said = ""
        for piece in pieces:
            said += piece
            print(piece, end="", file=self.out, flush=True)
        print(file=self.out, flush=True)
        self.cards[-1].lines.append(("model", said.strip()))
        return said.strip()

    def note(self, text: str) -> None:
        """A remark, such as how long it took."""
        self._say("note", "      ", text)

    def show(self, path: Path, caption: str) -> Path:
        """Show a picture, film or recording that is there already; returns the copy beside it."""
        copy = self.folder / path.name
        shutil.copyfile(path, copy)
        self._show(copy, caption)
        return copy

    def made(self, image: "PIL.Image.Image", caption: str) -> Path:
        """Keep a picture that the model made."""
        path = self._file("picture", ".png")
        image.save(path)
        self._show(path, caption)
        return path

    def speech(self, chunks: Iterable[SpeechChunk], caption: str) -> float:
        """Keep speech that the model makes; returns its seconds."""
        from mingle.engine.chapter import write_speech

        path = self._file("speech", ".wav")
        stream: Any = chunks
        with closing(stream):
            written = write_speech(stream, path)
        self._show(path, caption)
        return written.seconds

    def write(self, report: dict[str, Any]) -> Path:
        """Write the page; returns it."""
        intro = (
            f"What {self.name} did on this machine in {report['total_s']:.0f} s, without a network."
        )
        page = self.folder / "index.html"
        sections = [_section(card) for card in self.cards]
        page.write_text(sheet.page(self.name, intro, sections), encoding="utf-8")
        return page

    def _say(self, kind: str, begin: str, text: str) -> None:
        self.cards[-1].lines.append((kind, text))
        print(f"{begin}{text}", file=self.out, flush=True)

    def _show(self, path: Path, caption: str) -> None:
        self.cards[-1].figures.append(sheet.figure(path, path.name, caption))
        print(f"      [{caption}: {path}]", file=self.out, flush=True)

    def _file(self, kind: str, suffix: str) -> Path:
        number = 1 + sum(len(card.figures) for card in self.cards)
        return self.folder / f"{number:02d}-{kind}{suffix}"


def _section(card: Card) -> str:
    lines = "\n".join(f'<p class="{kind}">{sheet.text(said)}</p>' for kind, said in card.lines)
    return sheet.section(card.title, f"{sheet.media(card.figures)}\n{lines}")
