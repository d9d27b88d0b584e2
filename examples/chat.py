"""Talk to nano from Python: a whole answer, an answer as it comes, and a conversation."""

import mingle
from mingle.engine.session import Session
from mingle.messages import TextDelta

with mingle.load("nano") as assistant:
    # a whole answer
    reply = assistant.chat("What is the capital of France?", max_new_tokens=32)
    print(reply.text, reply.usage.completion_tokens)

    # as it comes
    for event in assistant.stream("Count from one to five.", max_new_tokens=32):
        if isinstance(event, TextDelta):
            print(event.text, end="", flush=True)
    print()

    # a conversation is plain data: what was said so far
    session = Session().asked("Name a fruit.").answered("An apple.")
    reply = assistant.chat("Which colour is it?", history=session.messages, max_new_tokens=32)
    print(reply.text)
