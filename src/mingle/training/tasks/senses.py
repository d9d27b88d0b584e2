"""Task `senses`: the thinker of nano learns to see and to hear, its base frozen.

Only what a conversation without media never uses may learn: towers and projectors, media-token
embeddings, the experts of media and of text behind media, and their routers. Words before the first
medium are therefore constants: they are read once without gradients (the system prompt once for
all), and training continues behind them.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mingle.checkpoints.load import ModelFolder, open_model
from mingle.checkpoints.nano import ROOT, hearing, trained
from mingle.checkpoints.nano.additions import EMBEDDING, PART, extract
from mingle.checkpoints.nano.config import NanoConfig
from mingle.checkpoints.nano.parts import whisper_encoder
from mingle.errors import ConfigError
from mingle.messages import Modality, Request, user
from mingle.model import OmniModel, text_modality
from mingle.nn.attention import Behind, Cached
from mingle.nn.cache import KVCache
from mingle.nn.moe import Experts
from mingle.processing.inputs import Processor, Prompt
from mingle.thinker.positions import position_ids
from mingle.training import losses
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds.split import Split
from mingle.worlds.talk import CONVERSATIONS, Conversation


@dataclass(frozen=True, kw_only=True)
class SensesModel:
    """The model to go on from (a name or a folder), and which parts of it are loaded."""

    start: str
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SensesData:
    """`batch` conversations at a time, of kinds (CONVERSATIONS) drawn by weight.

    `held_out` is how many conversations of each kind an evaluation asks.
    """

    sources: dict[str, float]
    batch: int
    held_out: int


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One conversation as the model reads it, and where its answers stand in it.

    `first` is the first token that learning changes; an answer's last target ends the turn.
    """

    source: str
    kinds: tuple[str, ...]
    prompt: Prompt
    answers: tuple[tuple[int, int], ...]
    first: int

    @property
    def length(self) -> int:
        """Tokens that are read: the last target need not be."""
        return self.answers[-1][1] - 1


class Senses(nn.Module):
    """The model, and its media tokens as a parameter of their own (the words stay frozen)."""

    def __init__(self, omni: OmniModel):
        super().__init__()
        self.omni = omni
        words = omni.thinker.config.output_size
        self.media_tokens = nn.Parameter(omni.thinker.embedding.weight[words:].detach().clone())


class SensesTask(Task):
    """Short exact answers about media, by the frozen base."""

    Model, Data = SensesModel, SensesData

    def build(self, config: SensesModel) -> nn.Module:
        """The model of a folder, in fp32."""
        self.folder: ModelFolder = open_model(config.start)
        omni = self.folder.load(config.parts, dtype=torch.float32)
        self.thinker = omni.thinker
        self.words = self.thinker.config.output_size
        self.processor: Processor = self.folder.processor()
        ids = [self.processor.prepare(Request(messages=(user(word),))).ids for word in ("a", "b")]
        same = [int(a) == int(b) for a, b in zip(*ids, strict=True)]
        self.opening: tuple[int, ...] = tuple(ids[0][: same.index(False)].tolist())
        self.opened: KVCache | None = None
        config = self.folder.config["thinker"]
        if isinstance(config, NanoConfig):
            _hold_first_experts(omni.thinker, config.text_experts)
        return Senses(omni)

    def batches(self, data: SensesData, draw: Draw) -> Iterator[Batch]:
        """Conversations of the train split."""
        names, weights = _mixture(data.sources)

        def make(rng: np.random.Generator) -> list[Lesson]:
            chosen = rng.choice(len(names), size=data.batch, p=weights)
            return [self.lesson(rng, names[i], "train") for i in chosen]

        for position, lessons in numbered(make, draw):
            targets = sum(end - start for lesson in lessons for start, end in lesson.answers)
            yield Batch(
                data=lessons,
                samples=len(lessons),
                tokens=sum(lesson.length - lesson.first for lesson in lessons),
                counts={"answer": targets},
                position=position,
            )

    def lesson(self, rng: np.random.Generator, source: str, split: Split) -> Lesson:
        """One conversation of the world, prepared as the engine would."""
        talk: Conversation = CONVERSATIONS[source](rng, split)
        prompt, answers = self.processor.prepare_answered(talk.messages)
        ends = [
            next(i for i in range(start, end) if prompt.ids[i] in self.processor.stop_ids) + 1
            for start, end in answers
        ]
        return Lesson(
            source=source,
            kinds=talk.kinds,
            prompt=prompt,
            answers=tuple((start, end) for (start, _), end in zip(answers, ends, strict=True)),
            first=min(*(span.start for span in prompt.spans), *self._media_tokens(prompt)),
        )

    def _media_tokens(self, prompt: Prompt) -> list[int]:
        """Where tokens stand that are not words; at least the one behind the prompt's end."""
        return [*np.flatnonzero(prompt.ids >= self.words).tolist(), len(prompt.ids)]

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`answer`: cross entropy in nats a token. The metric is the share of whole answers."""
        lessons: list[Lesson] = batch.data
        logits, targets, routings, lengths = self._answer(lessons)
        right = _whole(logits.argmax(-1) == targets, lessons)
        return Outcome(
            losses={"answer": losses.next_token(logits, targets)},
            metrics={"right": float(np.mean(right))},
            routings=routings,
            lengths=lengths,
        )

    @torch.no_grad()
    def evaluate(self, data: SensesData, folder: Path) -> dict[str, float]:
        """Shares of held-out answers that are right to the letter, by source and kind."""
        outcomes: dict[str, list[bool]] = {}
        for source in data.sources:
            rng = np.random.default_rng(0)
            lessons = [self.lesson(rng, source, "held_out") for _ in range(data.held_out)]
            for begin in range(0, len(lessons), data.batch):
                part = lessons[begin : begin + data.batch]
                logits, targets, _, _ = self._answer(part)
                right = iter(_whole(logits.argmax(-1) == targets, part))
                for lesson in part:
                    for kind in lesson.kinds:
                        outcome = next(right)
                        outcomes.setdefault(source, []).append(outcome)
                        outcomes.setdefault(f"{source}/{kind}", []).append(outcome)
        return {name: float(np.mean(found)) for name, found in outcomes.items()}

    def export(self, folder: Path) -> None:
        """What was learned, as nano's parts: towers but for Whisper's encoder, and the thinker's
        additions. How it hears is copied from where it started, where the folder does not say."""
        model: Senses = self.model
        state = dict(self.thinker.state_dict())
        state[EMBEDDING] = torch.cat((state[EMBEDDING][: self.words], model.media_tokens))
        trained.write_tensors(folder, PART, extract(state, self.folder.config["thinker"]))
        config = self.folder.raw[ROOT] | {"additions": True}
        (folder / ROOT).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if model.omni.vision is not None:
            config = self.folder.config["vision"]
            trained.write_part(folder, "vision", config, model.omni.vision.state_dict())
        if model.omni.audio is not None:
            state, base = model.omni.audio.state_dict(), whisper_encoder()
            added = {name: x for name, x in state.items() if name not in base}
            trained.write_part(folder, "audio", self.folder.config["audio"], added)
            for name in (hearing.FILE, hearing.WORDS):
                if not (folder / name).exists():
                    shutil.copyfile(self.folder.folder / name, folder / name)

    def _answer(
        self, lessons: Sequence[Lesson]
    ) -> tuple[Float[Tensor, "targets vocab"], Tensor, tuple, tuple[int, ...]]:
        """Scores at every target of every answer, the targets, and how tokens were routed."""
        caches = self._read_words(lessons)
        lengths = tuple(lesson.length - lesson.first for lesson in lessons)
        axes = self.thinker.config.rope.axes
        positions = [
            position_ids(len(one.prompt.ids), one.prompt.spans, axes=axes).ids[
                :, one.first : one.length
            ]
            for one in lessons
        ]
        hidden, modality = self._embed(lessons)
        hidden, routings = self.thinker(
            hidden, self.here(torch.cat(positions, dim=1)), modality, Behind(caches, lengths)
        )
        places, targets, offset = [], [], 0
        for lesson, length in zip(lessons, lengths, strict=True):
            for start, end in lesson.answers:
                shift = offset - lesson.first
                places.append(torch.arange(start - 1, end - 1) + shift)
                targets.append(torch.from_numpy(lesson.prompt.ids[start:end]))
            offset += length
        logits = self.thinker.logits(hidden[torch.cat(places)])
        return logits, self.here(torch.cat(targets)), routings, lengths

    @torch.no_grad()
    def _read_words(self, lessons: Sequence[Lesson]) -> list[KVCache]:
        """The keys and values of each lesson's words before its first medium."""
        opening = len(self.opening)
        if self.opened is None:
            self.opened = KVCache(self.thinker.config.num_layers)
            self._read([self.opened], [torch.tensor(self.opening)])
        caches = [self.opened.fork(opening) for _ in lessons]
        words = [torch.from_numpy(one.prompt.ids[opening : one.first]) for one in lessons]
        for one in lessons:
            assert tuple(one.prompt.ids[:opening].tolist()) == self.opening
        some = [i for i, ids in enumerate(words) if len(ids)]  # spoken questions have none
        if some:
            self._read([caches[i] for i in some], [words[i] for i in some])
        return caches

    def _read(self, caches: Sequence[KVCache], words: Sequence[Tensor]) -> None:
        """Put words into caches, behind what is there; no gradients."""
        lengths = [len(ids) for ids in words]
        places = [torch.arange(n) + cache.length for cache, n in zip(caches, lengths, strict=True)]
        attend = Cached(caches, lengths)
        hidden = self.thinker.embed_tokens(self.here(torch.cat(list(words))))
        modality = torch.full((sum(lengths),), Modality.TEXT)
        positions = torch.cat(places).expand(3, -1)
        self.thinker(hidden, *self.here((positions, modality)), attend)
        attend.commit()

    def _embed(self, lessons: Sequence[Lesson]) -> tuple[Float[Tensor, "tokens dim"], Tensor]:
        """Embeddings and modalities of the tokens from each lesson's first medium on."""
        omni: OmniModel = self.model.omni
        features = {
            "image": omni.encode_pictures([x for one in lessons for x in one.prompt.images]),
            "frame": omni.encode_pictures([x for one in lessons for x in one.prompt.frames]),
            "audio": omni.encode_recordings([x for one in lessons for x in one.prompt.recordings]),
        }
        coming = {kind: iter(items) for kind, items in features.items()}
        words = [torch.from_numpy(one.prompt.ids[one.first : one.length]) for one in lessons]
        ids = self.here(torch.cat(words))
        hidden = self.thinker.embed_tokens(ids.clamp(max=self.words - 1))
        own = (ids >= self.words).nonzero()[:, 0]
        hidden = hidden.index_copy(0, own, self.model.media_tokens[ids[own] - self.words])
        sparse = self.thinker.config.sparse
        modality = torch.cat(
            [text_modality(one.prompt, sparse)[one.first : one.length] for one in lessons]
        )
        rows, values, offset = [], [], 0
        for one in lessons:
            for span in one.prompt.spans:
                start = offset + span.start - one.first
                places = torch.arange(start, start + span.length)
                modality[places] = int(span.modality)
                rows.append(places)
                values.append(next(coming[span.kind]))
            offset += one.length - one.first
        hidden = hidden.index_copy(0, self.here(torch.cat(rows)), torch.cat(values))
        return hidden, self.here(modality)


def _hold_first_experts(thinker: nn.Module, count: int) -> None:
    """No gradient for each layer's first `count` experts. They are text's, and the mark that opens
    a medium is text still."""

    def held(gradient: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(gradient[:count]), gradient[count:]))

    for module in thinker.modules():
        if isinstance(module, Experts):
            for parameter in module.parameters():
                parameter.register_hook(held)


def _mixture(sources: dict[str, float]) -> tuple[list[str], np.ndarray]:
    """Names and shares. Raises ConfigError for kinds that the talk world does not know."""
    if unknown := sorted(set(sources) - set(CONVERSATIONS)):
        raise ConfigError(
            f"data.sources: unknown '{unknown[0]}'; known: {', '.join(CONVERSATIONS)}"
        )
    weights = np.array(list(sources.values()), dtype=float)
    return list(sources), weights / weights.sum()


def _whole(right: Tensor, lessons: Sequence[Lesson]) -> list[bool]:
    """For each answer, in order, whether all of its targets are right."""
    sizes = [end - start for lesson in lessons for start, end in lesson.answers]
    return [bool(part.all()) for part in right.split(sizes)]
