"""A conversation at the terminal: questions, answers as they come, commands that begin with /."""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from mingle.cli.show import Shown, show
from mingle.engine.assistant import Assistant
from mingle.engine.session import Session
from mingle.errors import InputError, MingleError
from mingle.messages import Audio, Image, Part, Video

with contextlib.suppress(ImportError):  # not on Windows
    import readline  # noqa: F401  arrow keys and history for input()

MEDIA = {"image": Image, "audio": Audio, "video": Video}

HELP = """\
/image PATH   show a picture with the next question
/audio PATH   let it hear a recording
/video PATH   show a film
/think        think before answering, or no longer
/system TEXT  tell the model who it is; without text: its own words again
/reset        forget the conversation
/help         this list
/quit         leave (so does Ctrl-D)
Ctrl-C stops an answer. A space before / sends it as text."""


class Conversation:
    """What was said so far, and what goes with the next question."""

    def __init__(self, assistant: Assistant, options: dict[str, Any], *, system: str):
        self.assistant = assistant
        self.options = dict(options)
        self.session = Session().with_system(system)
        self.attached: list[Part] = []

    def talk(self) -> None:
        """Read questions and commands until the end of input or /quit."""
        name = self.assistant.folder.family.name
        self.assistant.engine  # noqa: B018  loaded before the first question, errors included
        print(f"{name}. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.")
        while True:
            try:
                line = input("> ")
                if line.rstrip() == "/quit":
                    return
                self.read(line)
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print("\n(Ctrl-D or /quit leaves)")
            except MingleError as error:
                print(f"! {error}", file=sys.stderr)

    def read(self, line: str) -> None:
        """Do what one line says. Raises InputError for what cannot be done."""
        if line.startswith("/"):
            name, _, argument = line[1:].strip().partition(" ")
            self._command(name, argument.strip())
        elif line.strip() or self.attached:
            self._ask(line.strip())

    def attach(self, kind: str, path: str) -> None:
        """Send a picture, recording or film with the next question."""
        if not path:
            raise InputError(f"/{kind} needs the path of a file")
        source = Path(path).expanduser()
        if not source.exists():
            raise InputError(f"{source} does not exist; check the path")
        self.attached.append(MEDIA[kind](source=source))

    def _command(self, name: str, argument: str) -> None:
        if name in MEDIA:
            self.attach(name, argument)
            print(f"({len(self.attached)} to go with the next question)")
        elif name == "think":
            self.options["thinking"] = not self.options["thinking"]
            print(f"(thinking {'on' if self.options['thinking'] else 'off'})")
        elif name == "system":
            self.session = self.session.with_system(argument)
        elif name == "reset":
            self.attached = []
            self.session = replace(
                self.session, messages=tuple(m for m in self.session.messages if m.role == "system")
            )
            print("(all forgotten)")
        elif name == "help":
            print(HELP)
        else:
            raise InputError(f"/{name} is no command; /help lists them")

    def _ask(self, text: str) -> None:
        """Answer, and keep what was shown of the answer, interrupted or not."""
        attached, self.attached = self.attached, []
        asked = self.session.asked(*attached, *([text] if text else []))
        request = self.assistant.ask(asked.messages, **self.options)
        events = self.assistant.events(request)
        shown = Shown()
        try:
            show(events, reasoning="stdout", shown=shown)
        except KeyboardInterrupt:
            events.close()
            print("\n(stopped)")
        self.session = asked.answered(shown.texts["answer"].strip())
