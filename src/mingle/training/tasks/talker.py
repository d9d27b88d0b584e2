"""Task `talker`: a voice whose text lies along its speech, on synthetic voices with timed phones.

The codec is fitted before the first step and the speaker encoder trained before; both stand still.
Recordings become latents and speaker vectors once, a shard at a time.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.nano import parts, trained
from mingle.errors import ConfigError
from mingle.nn.attention import Packed
from mingle.nn.flow import interpolate
from mingle.nn.transformer import positions_of
from mingle.talker.aligned import Timed, num_patches
from mingle.talker.codec import LinearCodec
from mingle.talker.flow_head import FlowOptions, PatchNoise, draw_noise
from mingle.talker.speech import SpeechConfig, SpeechModel
from mingle.training import losses
from mingle.training.alignment import with_phones
from mingle.training.chance import normal, uniform
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task
from mingle.worlds import pronunciations
from mingle.worlds.corpus import CorpusConfig, build_shard, read_shard
from mingle.worlds.voices import FLITE, Utterance, Voice, synthesise

MOST_NOISE = 0.4  # on the latents before, in widths: the voice must bear its own errors
SPAN_S = 8.0  # longer recordings are left out
SAID = (  # what the preset voices are measured on
    "The weather is nice today and we will go out for a walk.",
    "Please leave a message after the tone.",
    "My favourite food is bread with cheese and an apple.",
    "How long does it take to get to the airport from here?",
)
HEARD = 24  # held-out sentences that are spoken when the talker is evaluated
FITTED = 300  # recordings that the codec is fitted to


@dataclass(frozen=True, kw_only=True)
class TalkerData:
    """`rows` recordings in each batch, out of the corpora's first `shards` shards.

    Recordings without timed phones are left out. `condition_drop` is the share of patches that
    are trained without their condition, for guidance.
    """

    corpora: tuple[CorpusConfig, ...]
    held_out: CorpusConfig
    shards: int
    rows: int
    condition_drop: float


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One recording as the talker learns it: what is said, when, by whom, and its latents."""

    text: str
    phones: Int[Tensor, " phones"]
    ends_s: Float[Tensor, " phones"]
    speaker: Float[Tensor, " speaker_dim"]
    latents: Float[Tensor, "patches patch latent_dim"]


class TalkerTask(Task):
    """Flow matching of every patch given all before it, and the durations of the phones."""

    Model, Data = SpeechConfig, TalkerData

    def build(self, config: SpeechConfig) -> nn.Module:
        """The whole of speech out; `start` brings autoencoder and speaker encoder."""
        if config.talker.aligned is None or config.speaker is None:
            raise ConfigError(
                "model: this task trains a talker with an aligned text and a speaker encoder; "
                "give talker.aligned and speaker, or use the task omni"
            )
        self.numbers = {name: i for i, name in enumerate(config.talker.aligned.phones)}
        return SpeechModel(config)

    @property
    def speech(self) -> SpeechModel:
        """The model by its class."""
        return self.model

    def batches(self, data: TalkerData, draw: Draw) -> Iterator[Batch]:
        """Sentences by chance; a batch stays inside one shard."""
        codec = self.speech.vae
        if isinstance(codec, LinearCodec) and not codec.fitted:
            spoken = list(read_shard(build_shard(data.corpora[0], 0)))[:FITTED]
            codec.fit([torch.from_numpy(one.samples) for one in spoken])
        held: dict[tuple[int, int], list[Sentence]] = {}

        def make(rng: np.random.Generator) -> list[Sentence]:
            place = int(rng.integers(len(data.corpora))), int(rng.integers(data.shards))
            if place not in held:
                held[place] = self._sentences(data.corpora[place[0]], place[1])
            chosen = rng.integers(len(held[place]), size=data.rows)
            return [held[place][i] for i in chosen]

        if self.device.type != "cpu":  # sentences are encoded there; a forked process may not
            draw = replace(draw, workers=0)
        for position, sentences in numbered(make, draw):
            tokens = sum(len(one.latents) for one in sentences)
            pair = (sentences, data.condition_drop)
            yield Batch(data=pair, samples=len(sentences), tokens=tokens, position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`flow` per latent number, `duration` in natural logarithms of seconds."""
        sentences, drop = batch.data
        return Outcome(losses=self._losses(sentences, drop, generator))

    @torch.no_grad()
    def evaluate(self, data: TalkerData, folder: Path) -> dict[str, float]:
        """Held-out losses; what the flow loses with another's text; sentences to hear."""
        import soundfile

        sentences = self.here(self._sentences(data.held_out, 0)[:48])
        right, wrong = (
            self._losses(said, 0.0, torch.Generator(self.device).manual_seed(0))
            for said in (sentences, _swapped(sentences))
        )
        folder.mkdir(parents=True, exist_ok=True)
        texts = "".join(f"{one.text}\n" for one in sentences[:HEARD])
        (folder / "sentences.txt").write_text(texts, encoding="utf-8")
        for i, sentence in enumerate(sentences[:HEARD]):
            wave = self.say(sentence)
            rate = self.config.sample_rate_hz
            soundfile.write(folder / f"sentence_{i:02d}.wav", wave.clamp(-1, 1).cpu().numpy(), rate)
        gain = {"text_gain": float(wrong["flow"] - right["flow"])}
        return {name: float(loss) for name, loss in right.items()} | gain

    @torch.no_grad()
    def say(self, sentence: Sentence) -> Float[Tensor, " samples"]:
        """Speak a sentence's phones at its speaker's pace, with durations of the talker's own."""
        talker = self.speech.talker
        features = talker.text.read(
            sentence.phones, (len(sentence.phones),), sentence.speaker[None]
        )
        ends_s = talker.text.log_durations(features).exp().cumsum(0)
        rows = talker.text.spread(Timed(features=features, ends_s=ends_s))
        rows = rows + talker.speaker_head(sentence.speaker[None])
        aligned = talker.config.aligned
        assert aligned is not None  # build refused it
        options = FlowOptions(steps=talker.config.steps, guidance=aligned.guidance)
        drawn = talker.patches_along(rows, talker.first_history(None), options, self._noise())
        return self.speech.vae.decode(torch.cat([patch.latents for patch in drawn]))

    def _noise(self) -> Callable[[int], PatchNoise]:
        """Each patch's random numbers, the same ones each time."""
        talker, generator = self.speech.talker, torch.Generator().manual_seed(0)
        steps = talker.config.steps
        return lambda _step: draw_noise(talker.config.flow, steps, generator, talker.like)

    def export(self, folder: Path) -> None:
        """The talker as nano's folder holds it, with the voices it learned and how loud they are.

        The list of words is asked from flite where the folder has none, which takes minutes.
        """
        trained.write_part(folder, "talker", self.config, self.model.state_dict())
        voices = {voice.name: self._preset(voice) for voice in FLITE}
        (folder / parts.VOICES).write_text(json.dumps(voices) + "\n", encoding="utf-8")
        if not (folder / parts.PRONUNCIATIONS).exists():
            pronunciations.write_list(pronunciations.list_words(), folder / parts.PRONUNCIATIONS)

    def _preset(self, voice: Voice) -> dict[str, Any]:
        """The mean of its vectors over a few sentences, and the level of their sound."""
        spoken = [synthesise(said, voice).samples for said in SAID]
        vector = np.mean([self.speech.hear_speaker(samples) for samples in spoken], axis=0)
        level_db = 10 * np.log10(np.square(np.concatenate(spoken)).mean())
        return {
            "vector": [round(number, 4) for number in vector.tolist()],
            "level_db": round(float(level_db), 1),
        }

    def _losses(
        self, sentences: Sequence[Sentence], drop: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        talker = self.speech.talker
        lengths = tuple(len(one.latents) for one in sentences)
        counts = tuple(len(one.phones) for one in sentences)
        speakers = torch.stack([one.speaker for one in sentences])
        phones = torch.cat([one.phones for one in sentences])
        features = talker.text.read(phones, counts, speakers)
        seconds = torch.cat([one.ends_s.diff(prepend=one.ends_s.new_zeros(1)) for one in sentences])
        duration = F.smooth_l1_loss(
            talker.text.log_durations(features), seconds.clamp(min=0.01).log()
        )
        rows = torch.cat(
            [
                talker.text.spread(Timed(features=part, ends_s=one.ends_s))
                for part, one in zip(features.split(counts), sentences, strict=True)
            ]
        )
        owner = torch.arange(len(sentences)).repeat_interleave(torch.tensor(lengths))
        heard, past = self._heard(sentences, generator)
        inputs = heard + rows + talker.speaker_head(speakers)[owner]
        hidden = talker(inputs, positions_of(lengths, inputs.device), Packed(lengths))
        flow = self._flow(sentences, hidden, past, drop, generator)
        return {"flow": flow, "duration": duration}

    def _flow(
        self,
        sentences: Sequence[Sentence],
        hidden: Float[Tensor, "patches dim"],
        past: Float[Tensor, "patches history latent_dim"],
        drop: float,
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Flow matching of every patch, given its state and the latents before it."""
        target = torch.cat([one.latents for one in sentences])
        noise = normal(target.shape, generator)
        time = uniform((len(target),), generator)
        kept = uniform((len(target),), generator) >= drop
        noisy = interpolate(noise, target, time)
        velocity = self.speech.talker.flow_head(noisy, time, hidden * kept[:, None], past)
        return losses.flow_matching(velocity, noise, target)

    def _heard(
        self, sentences: Sequence[Sentence], generator: torch.Generator
    ) -> tuple[Float[Tensor, "patches dim"], Float[Tensor, "patches history latent_dim"]]:
        """The patch before each patch as the language model reads it, and the flow's history."""
        talker = self.speech.talker
        size, history = talker.config.flow.patch, talker.config.flow.history
        pasts = []
        for one in sentences:
            latents = one.latents.flatten(0, 1)
            sigma = MOST_NOISE * uniform((), generator)
            noised = latents + sigma * normal(latents.shape, generator)
            before = torch.cat((latents.new_zeros(history, latents.shape[1]), noised))
            pasts.append(before.unfold(0, history, size)[: len(one.latents)].transpose(1, 2))
        past = torch.cat(pasts)
        return talker.patch_encoder(past[:, -size:]), past

    def _sentences(self, corpus: CorpusConfig, shard: int) -> list[Sentence]:
        spoken = read_shard(build_shard(corpus, shard))
        timed = [one if one.phones else with_phones(one) for one in spoken]
        return [self._sentence(one) for one in timed if one.phones[-1].end_s <= SPAN_S]

    @torch.no_grad()
    def _sentence(self, spoken: Utterance) -> Sentence:
        speech, flow = self.speech, self.config.talker.flow
        if unknown := {phone.name for phone in spoken.phones} - set(self.numbers):
            raise ConfigError(
                f"the talker's list of phones lacks {sorted(unknown)}, which voices use"
            )
        ends_s = torch.tensor([phone.end_s for phone in spoken.phones])
        count = num_patches(float(ends_s[-1]), self.config.patch_s)
        wave = torch.from_numpy(spoken.samples).to(self.device)
        length = count * self.config.patch_samples
        latents = speech.vae.encode(F.pad(wave, (0, max(0, length - len(wave))))[:length]).mean
        assert speech.speaker is not None
        voice = F.pad(wave, (0, max(0, 16_000 - len(wave))))
        return Sentence(
            text=spoken.text,
            phones=torch.tensor([self.numbers[phone.name] for phone in spoken.phones]),
            ends_s=ends_s,
            speaker=speech.speaker(voice[None])[0],
            latents=latents.unflatten(0, (-1, flow.patch)),
        )


def _swapped(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Each sentence with its neighbour's phones, stretched to its own length."""
    others = [*sentences[1:], sentences[0]]
    return [
        replace(
            one,
            phones=other.phones,
            ends_s=other.ends_s * (one.ends_s[-1] / other.ends_s[-1]),
        )
        for one, other in zip(sentences, others, strict=True)
    ]
