"""A model of a few lines for the engine: text is bytes, attention is real."""

import codecs
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch

from mingle.engine.engine import Engine
from mingle.engine.scheduler import Limits
from mingle.messages import Finished, Image, Request, SamplingOptions, Span, Text, TextDelta, user
from mingle.model import Embedded
from mingle.nn.attention import Mask
from mingle.processing.inputs import Patches, Prompt
from mingle.processing.reasoning import ReasoningSplitter

END = 0
MEDIA = 1  # stands for one row of a picture
IMAGE_TOKENS = 4


class FakeThinker:
    """One attention layer over random embeddings; every token depends on all before it."""

    config = SimpleNamespace(num_layers=1, output_size=256, max_positions=1000)

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.table = torch.randn(256, 16, generator=generator)
        self.mix = torch.randn(16, 16, generator=generator)
        self.steps: list[int] = []  # tokens of each step

    def embed_tokens(self, ids):
        return self.table[ids]

    def __call__(self, hidden, positions, modality, attend):
        self.steps.append(len(hidden))
        turned = (hidden * torch.cos(positions[0][:, None] * torch.arange(16)))[:, None]
        return attend(0, turned / 2, turned / 2, turned, Mask(causal=True))[:, 0], ()

    def logits(self, hidden):
        scores = hidden @ self.mix @ self.table.T
        scores[:, END] = -9e9  # it never ends by itself
        return scores


class ScriptThinker(FakeThinker):
    """Says the bytes of a script, whatever it is asked, from `prompt_tokens` on."""

    def __init__(self, script: bytes, prompt_tokens: int):
        super().__init__()
        self.script, self.prompt_tokens = [*script, END], prompt_tokens

    def __call__(self, hidden, positions, modality, attend):
        super().__call__(hidden, positions, modality, attend)
        return positions[0][:, None].float(), ()

    def logits(self, hidden):
        said = [self.script[int(at) + 1 - self.prompt_tokens] for at in hidden[:, 0]]
        return torch.nn.functional.one_hot(torch.tensor(said), 256).float()


class FakeModel:
    def __init__(self, thinker: FakeThinker | None = None):
        self.thinker = thinker or FakeThinker()
        self.embedded: list[int] = []  # tokens of each call: what was not reused

    def embed(self, prompt):
        self.embedded.append(len(prompt.ids))
        hidden = self.thinker.embed_tokens(torch.from_numpy(prompt.ids))
        for span in prompt.spans:
            picture = torch.from_numpy(prompt.images[span.item].values)
            hidden[span.start : span.start + span.length] += picture.mean()
        count = len(prompt.ids)
        return Embedded(
            hidden=hidden,
            positions=torch.arange(count).expand(3, -1),
            modality=torch.zeros(count, dtype=torch.long),
            next_position=count,
        )


class FakeProcessor:
    """The text of all messages as bytes; a picture is four tokens, its source the patch values."""

    stop_ids = (END,)

    def prepare(self, request):
        ids, spans, images = [], [], []
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, Text):
                    ids += part.text.encode()
                elif isinstance(part, Image):
                    spans.append(
                        Span(start=len(ids), length=IMAGE_TOKENS, kind="image", item=len(images))
                    )
                    ids += [MEDIA] * IMAGE_TOKENS
                    images.append(Patches(values=part.source, grid=(1, 4, 4)))
            ids += b"\n"
        return Prompt(ids=np.array(ids), spans=tuple(spans), images=tuple(images))

    def decoder(self):
        return ByteDecoder()

    def splitter(self):
        return ReasoningSplitter(("<think>", "</think>"))


class ByteDecoder:
    def __init__(self):
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids) -> str:
        return self._decoder.decode(bytes(ids))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


def engine(model: FakeModel | None = None, **limits: int) -> Engine:
    return Engine(model or FakeModel(), FakeProcessor(), Limits(**limits))


def script_engine(script: str | bytes, prompt: str = "hi") -> Engine:
    """An engine that answers `prompt` (and any prompt of its length) with the script."""
    script = script.encode() if isinstance(script, str) else script
    return engine(FakeModel(ScriptThinker(script, len(prompt) + 1)))


def ask(*parts, tokens: int = 20, sampling: SamplingOptions | None = None, **options) -> Request:
    return Request(
        messages=(user(*parts),),
        sampling=sampling or SamplingOptions(),
        max_new_tokens=tokens,
        **options,
    )


def picture(value: float) -> Image:
    return Image(source=np.full((16, 8), value, np.float32))


def tokens_of(events) -> list[int]:
    return [t for event in events if isinstance(event, TextDelta) for t in event.token_ids]


def text_of(events, channel: str = "answer") -> str:
    deltas = [event for event in events if isinstance(event, TextDelta)]
    return "".join(delta.text for delta in deltas if delta.channel == channel)


def end_of(events) -> Finished:
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return events[-1]


def step_until(engine: Engine, done: Callable[[], bool]) -> None:
    while not done():
        assert engine.step()
