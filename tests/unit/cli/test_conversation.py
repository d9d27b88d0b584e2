"""A conversation at the terminal, with an assistant that recites."""

import pytest

from mingle.cli.conversation import Conversation
from mingle.engine.assistant import Assistant
from mingle.errors import InputError
from mingle.messages import (
    Finished,
    Image,
    Message,
    Request,
    SamplingOptions,
    Text,
    TextDelta,
    Usage,
    user,
)


class Reciter(Assistant):
    """Says the same words each time; an exclamation mark is where somebody presses Ctrl-C."""

    def __init__(self, *words: str):
        self.words = words
        self.requests: list[Request] = []
        self.closed = False

    def ask(self, messages, **options):
        return Request(messages=tuple(messages), sampling=SamplingOptions(), **options)

    def events(self, request):
        self.requests.append(request)
        try:
            for word in self.words:
                if word == "!":
                    raise KeyboardInterrupt
                channel = "reasoning" if word.startswith("(") else "answer"
                yield TextDelta(text=word, channel=channel)
            usage = Usage(prompt_tokens=1, completion_tokens=1)
            yield Finished(reason="stop", usage=usage)
        finally:
            self.closed = True


def talk(assistant: Reciter, *lines: str, system: str = "") -> Conversation:
    conversation = Conversation(assistant, {"thinking": False}, system=system)
    for line in lines:
        conversation.read(line)
    return conversation


def answer(text: str) -> Message:
    return Message(role="assistant", parts=(Text(text=text),))


def test_each_question_comes_after_what_was_said():
    assistant = Reciter("Yes", ".")
    conversation = talk(assistant, "one", "two")
    assert assistant.requests[1].messages == (user("one"), answer("Yes."), user("two"))
    assert conversation.session.messages[-1] == answer("Yes.")


def test_an_interrupted_answer_is_remembered_as_far_as_it_was_shown(capsys):
    assistant = Reciter("Once ", "upon", "!", " a time")
    conversation = talk(assistant, "tell me")
    assert conversation.session.messages == (user("tell me"), answer("Once upon"))
    assert assistant.closed
    assert capsys.readouterr().out == "Once upon\n(stopped)\n"


def test_thinking_is_shown_and_not_remembered(capsys):
    conversation = talk(Reciter("(hm)", "Yes"), "really?")
    assert conversation.session.last_answer == "Yes"
    assert capsys.readouterr().out == "(hm)\n\nYes\n"


def test_a_picture_goes_with_the_next_question_only(tmp_path):
    (tmp_path / "a b.png").touch()
    assistant = Reciter("A cat.")
    talk(assistant, f"/image {tmp_path}/a b.png", "what is it?", "sure?")
    first, second = (request.messages[-1] for request in assistant.requests)
    assert first.parts == (Image(source=tmp_path / "a b.png"), Text(text="what is it?"))
    assert second == user("sure?")


def test_reset_forgets_all_but_who_the_model_is():
    conversation = talk(Reciter("Yes"), "one", "/reset", system="be kind")
    assert [message.role for message in conversation.session.messages] == ["system"]


def test_think_switches_thinking():
    assistant = Reciter("Yes")
    talk(assistant, "/think", "one", "/think", "two")
    assert [request.thinking for request in assistant.requests] == [True, False]


def test_a_space_before_a_slash_makes_it_text():
    assistant = Reciter("Yes")
    talk(assistant, " /etc/passwd is what?")
    assert assistant.requests[0].messages == (user("/etc/passwd is what?"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [("/img x", "/img is no command"), ("/audio", "needs the path"), ("/video no", "no does not")],
)
def test_commands_that_cannot_be_done_say_why(line, message):
    assistant = Reciter("Yes")
    with pytest.raises(InputError, match=message):
        talk(assistant, line)
    assert assistant.requests == []
