"""Task `omni`: a whole model on manifests of messages: answers, pictures, speech, autoencoders."""

from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mingle.checkpoints.load import ModelFolder, open_model
from mingle.checkpoints.mapping import Rule, prefixed
from mingle.checkpoints.save import save
from mingle.encoders.vision import VisionEncoder
from mingle.errors import ConfigError
from mingle.model import Embedded, OmniModel, look_at
from mingle.nn.attention import Packed
from mingle.nn.flow import interpolate
from mingle.nn.moe import Routing
from mingle.nn.transformer import positions_of
from mingle.painter.model import Painter
from mingle.painter.schedule import shifted
from mingle.processing.image import Patches
from mingle.talker.audio_vae import AudioVae, Posterior
from mingle.talker.prompt import embed
from mingle.talker.speech import SpeechModel
from mingle.training import losses
from mingle.training.chance import normal, uniform
from mingle.training.examples import Example, Painting, Preparer, Utterance
from mingle.training.manifests import Mixture, Quarantine, usable
from mingle.training.packing import pack
from mingle.training.streams import Batch, Draw
from mingle.training.task import Outcome, Task
from mingle.training.tasks.omni_data import OmniData, OmniStart, counts

SPECTRA = (512, 1024, 2048)  # samples: 12 to 46 ms at 44.1 kHz
FLOOR = (
    1e-2  # of a magnitude: noise of -69 dB of full scale in the longest window; below is silence
)


class OmniTask(Task):
    """Everything an OmniModel can learn."""

    Model, Data = OmniStart, OmniData

    def build(self, config: OmniStart) -> nn.Module:
        """The model of a folder, in fp32."""
        self.folder: ModelFolder = open_model(config.start)
        self.omni: OmniModel = self.folder.load(config.parts, dtype=torch.float32)
        self.heard = WeakKeyDictionary[Utterance, Tensor]()  # by a frozen autoencoder
        return self.omni

    @property
    def painter(self) -> Painter:
        """The painter. Raises ConfigError where there is none."""
        return cast(Painter, _need(self.omni.painter, "painter"))

    @property
    def speech(self) -> SpeechModel:
        """Talker and audio autoencoder. Raises ConfigError where there are none."""
        return cast(SpeechModel, _need(self.omni.talker, "talker"))

    @property
    def audio_vae(self) -> AudioVae:
        """The talker's autoencoder. Raises ConfigError where a computed codec stands in for it."""
        if not isinstance(self.speech.vae, AudioVae):
            raise ConfigError(
                "this model's sound comes from a computed codec, which these lessons cannot hear; "
                "train its talker with the task 'talker', or leave out speak, stop and audio_vae"
            )
        return self.speech.vae

    def rules(self) -> tuple[Rule, ...]:
        """The family's, with our part's name before ours."""
        specs = [self.folder.family.part(name) for name in self.config.parts]
        return tuple(
            rule
            for spec in specs
            if spec.rules is not None
            for rule in prefixed(spec.rules(self.folder.config[spec.name]), ours=f"{spec.name}.")
        )

    def export(self, folder: Path) -> None:
        """Write the family's own layout; what was not trained is carried over."""
        save(self.folder, {part: getattr(self.omni, part) for part in self.config.parts}, folder)

    def preparer(self) -> Preparer:
        """What turns records into examples for this model."""
        speech = self.omni.talker
        files = self.folder.family.speech if speech is not None else None
        return Preparer(
            processor=self.folder.processor(),
            painter=None if self.omni.painter is None else self.painter.config,
            speech=None if speech is None else self.speech.config,
            talker_tokenizer=None if files is None else files(self.folder.folder).open_tokenizer(),
        )

    def batches(self, data: OmniData, draw: Draw) -> Iterator[Batch]:
        """Packs of examples; bad records are left out and listed."""
        mixture = Mixture(data.sources, draw.seed)
        prepare = lru_cache(data.keep)(self.preparer())
        quarantine = Quarantine(data.quarantine, data.max_bad)

        def stream(first: int) -> Iterator[tuple[int, Example]]:
            place = Draw(
                seed=draw.seed,
                position=first,
                rank=draw.rank,
                ranks=draw.ranks,
                workers=draw.workers,
            )
            return usable(mixture, prepare, quarantine, place)

        def fetch(indices: Sequence[int]) -> list[Example]:
            return [prepare(manifest.read(number)) for manifest, number in map(mixture.at, indices)]

        packs = pack(
            stream,
            fetch,
            length=lambda example: example.tokens,
            budget=data.budget,
            window=data.window,
            position=draw.position,
        )
        for packed in packs:
            yield Batch(
                data=(packed.samples, data),
                samples=len(packed.samples),
                tokens=packed.tokens,
                counts=counts(packed.samples, data.lessons),
                names=tuple(example.name for example in packed.samples),
                position=packed.position,
            )

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """The lessons of the batch; one that it has no example of is 0 and counts nothing."""
        examples, data = batch.data
        found: dict[str, Tensor] = {}
        routings: tuple[Routing, ...] = ()
        lengths: tuple[int, ...] = ()
        zero = next(self.omni.parameters()).new_zeros((), requires_grad=True)
        if {"text", "paint"} & set(data.lessons):
            read = [example for example in examples if example.prompt is not None]
            if read:
                embedded = [self._embed(example) for example in read]
                lengths = tuple(len(one.hidden) for one in embedded)
                hidden, routings = self._think(embedded, lengths)
                if "text" in data.lessons:
                    found["text"] = self._text(read, hidden, embedded)
                if "paint" in data.lessons and any(e.painting for e in read):
                    found["paint"] = self._paint(read, hidden.split(lengths), data, generator)
        if {"speak", "stop"} & set(data.lessons):
            spoken = [example.utterance for example in examples if example.utterance]
            if spoken:
                speak, stop = self._speak(spoken, data, generator)
                found |= {"speak": speak, "stop": stop}
        if "image_vae" in data.lessons:
            found |= self._image_vae([e.painting for e in examples if e.painting])
        if "audio_vae" in data.lessons:
            heard = [e.utterance for e in examples if e.utterance]
            found |= self._audio_vae(heard, data.crop_latents, generator)
        chosen = {name: found.get(name, zero) for name in data.lessons}
        return Outcome(losses=chosen, routings=routings, lengths=lengths)

    def _embed(self, example: Example) -> Embedded:
        queries = None
        if example.painting and len(self.painter.queries):
            queries = torch.cat(list(self.painter.queries))
        assert example.prompt is not None
        return self.omni.embed(example.prompt, queries)

    def _think(
        self, embedded: Sequence[Embedded], lengths: tuple[int, ...]
    ) -> tuple[Tensor, tuple[Routing, ...]]:
        return self.omni.thinker(
            torch.cat([one.hidden for one in embedded]),
            torch.cat([one.positions for one in embedded], dim=1),
            torch.cat([one.modality for one in embedded]),
            Packed(lengths),
        )

    def _text(
        self, read: Sequence[Example], hidden: Tensor, embedded: Sequence[Embedded]
    ) -> Tensor:
        places, targets, offset = [], [], 0
        for example, one in zip(read, embedded, strict=True):
            assert example.prompt is not None
            for start, end in example.answers:
                places.append(torch.arange(offset + start - 1, offset + end - 1))
                targets.append(torch.from_numpy(example.prompt.ids[start:end]))
            offset += len(one.hidden)
        if not places:
            return hidden.new_zeros((), requires_grad=True)
        rows = hidden[torch.cat(places).to(hidden.device)]
        return losses.next_token(
            self.omni.thinker.logits(rows), torch.cat(targets).to(hidden.device)
        )

    def _paint(
        self,
        read: Sequence[Example],
        hidden: Sequence[Float[Tensor, "_ dim"]],
        data: OmniData,
        generator: torch.Generator,
    ) -> Tensor:
        """Flow matching of the latents of each picture; those of one size share a batch."""
        asked = [(e, rows) for e, rows in zip(read, hidden, strict=True) if e.painting]
        wanted = [cast(Painting, e.painting) for e, _ in asked]
        skip = self.painter.config.condition.skip_rows
        tokens = self.painter.condition(
            [_queries(e, rows)[skip:] for e, rows in asked],
            [one.glyphs for one in wanted],
            [None if one.sight is None else self._look(one.sight) for one in wanted],
        )
        drops = [_draw(generator) < data.condition_drop for _ in tokens]
        tokens = [torch.zeros_like(t) if drop else t for t, drop in zip(tokens, drops, strict=True)]
        errors = []
        for places in _alike([(p.pixels.shape, p.reference is None) for p in wanted]):
            group, conditions = [wanted[i] for i in places], [tokens[i] for i in places]
            errors.append(len(places) * self._flow(group, conditions, data, generator))
        return torch.stack(errors).sum() / len(wanted)

    def _flow(
        self,
        paintings: Sequence[Painting],
        conditions: Sequence[Tensor],
        data: OmniData,
        generator: torch.Generator,
    ) -> Tensor:
        """Pictures of one size, all with a reference or all without, each noised often."""
        painter, draws = self.painter, data.draws
        target = self._latents([p.pixels for p in paintings]).repeat_interleave(draws, 0)
        noise = normal(target.shape, generator)
        time = _times(len(target), data.time_shift, generator)
        references = [p.reference for p in paintings if p.reference is not None]
        given = None
        if references:
            given = self._latents(references)[:, :, None].repeat_interleave(draws, 0)
        finished = [tokens for one in conditions for tokens in [painter.finish(one)] * draws]
        velocity = painter.velocity(interpolate(noise, target, time), time, finished, given)
        return losses.flow_matching(velocity, noise, target)

    def _speak(
        self, spoken: Sequence[Utterance], data: OmniData, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Flow matching of every patch, and when to stop, given all patches before it, or none."""
        talker = self.speech.talker
        size, history = talker.config.flow.patch, talker.config.flow.history
        nobody = talker.like.new_zeros(0, talker.config.lm.dim)
        rows, before, starts = [], [], []
        patches = [latents.unflatten(0, (-1, size)) for latents in self._spoken_latents(spoken)]
        said = [len(whole) - 1 for whole in patches]
        read = talker.patch_encoder(torch.cat([whole[:-1] for whole in patches])).split(said)
        for one, whole, seen in zip(spoken, patches, read, strict=True):
            known = _draw(generator) >= data.history_drop
            prompt = embed(talker, one.layout, nobody, nobody)
            rows.append(torch.cat((prompt, seen * known)))
            starts.append(len(prompt) - 1)
            latents = whole.flatten(0, 1)
            past = torch.cat((latents.new_zeros(history, latents.shape[1]), latents * known))
            before.append(past.unfold(0, history, size)[: len(whole)].transpose(1, 2))
        lengths = tuple(len(row) for row in rows)
        positions = positions_of(lengths, nobody.device)
        hidden = talker(torch.cat(rows), positions, Packed(lengths)).split(lengths)
        state = torch.cat([one[start:] for one, start in zip(hidden, starts, strict=True)])
        last = torch.cat([torch.arange(len(p)) == len(p) - 1 for p in patches]).to(state.device)
        target = torch.cat(patches).repeat(data.draws, 1, 1)
        noise = normal(target.shape, generator)
        time = _times(len(target), data.time_shift, generator)
        drop = uniform((len(target),), generator)
        condition = state.repeat(data.draws, 1) * (drop >= data.condition_drop)[:, None]
        noisy = interpolate(noise, target, time)
        past = torch.cat(before).repeat(data.draws, 1, 1)
        velocity = talker.flow_head(noisy, time, condition, past)
        flow = losses.flow_matching(velocity, noise, target)
        return flow, losses.stop(talker.stop_head(state), last)

    def _image_vae(self, paintings: Sequence[Painting]) -> dict[str, Tensor]:
        pictures = [p.pixels for p in paintings]
        pictures += [p.reference for p in paintings if p.reference is not None]
        if not pictures:
            return {}
        errors = []
        for places in _alike([pixels.shape for pixels in pictures]):
            real = torch.from_numpy(np.stack([pictures[i] for i in places])).to(self.device)
            painted = self.painter.decode(self.painter.encode(real))
            errors.append(len(places) * losses.pixels(painted, real))
        return {"image_vae": torch.stack(errors).sum() / len(pictures)}

    def _audio_vae(
        self, spoken: Sequence[Utterance], crop: int, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Spectra and samples of what comes back, and a weak pull of the latents to N(0, 1)."""
        if not spoken:
            return {}
        vae = self.audio_vae
        latent, cuts = vae.config.latent_samples, []
        for one in spoken:
            spare = max(0, len(one.wave) // latent - crop)
            start = int(_draw(generator) * (spare + 1)) * latent
            cuts.append(one.wave[start : start + crop * latent])
        posteriors = self._encoded(cuts)
        drawn = [p.sample(normal(p.mean.shape, generator)) for p in posteriors]
        made = vae.decoder(torch.cat(drawn), [len(one) for one in drawn])
        copies = made.split([len(one) * latent for one in drawn])
        errors = []
        for cut, copy, posterior in zip(cuts, copies, posteriors, strict=True):
            wave = torch.from_numpy(cut).to(self.device)
            error = losses.spectral(copy[None], wave[None], SPECTRA, floor=FLOOR)
            pull = losses.kl(posterior.mean, posterior.std)
            errors.append(error + 10 * (copy - wave).square().mean() + 1e-3 * pull)
        return {"audio_vae": torch.stack(errors).mean()}

    def _encoded(self, waves: Sequence[np.ndarray]) -> list[Posterior]:
        """What the audio autoencoder hears in each recording, all in one pass."""
        vae = self.audio_vae
        cut = [vae.encoder.split(torch.from_numpy(wave).to(self.device)) for wave in waves]
        whole = vae.encoder(torch.cat(cut), [len(frames) for frames in cut])
        counts = [-(-len(frames) // vae.config.frames_per_latent) for frames in cut]
        parts = zip(whole.mean.split(counts), whole.std.split(counts), strict=True)
        return [Posterior(mean=mean, std=std) for mean, std in parts]

    @torch.no_grad()
    def _spoken_latents(
        self, spoken: Sequence[Utterance]
    ) -> list[Float[Tensor, "latents latent_dim"]]:
        """Means of recordings; a frozen autoencoder hears each but once while it is kept."""
        known: MutableMapping[Utterance, Tensor] = self.heard
        if any(p.requires_grad for p in self.audio_vae.encoder.parameters()):
            known.clear()  # heard before it learned
            known = {}
        if new := [one for one in spoken if one not in known]:
            heard = self._encoded([one.wave for one in new])
            known.update(zip(new, (posterior.mean for posterior in heard), strict=True))
        return [known[one] for one in spoken]

    def _look(self, sight: Patches) -> Float[Tensor, "places sight_dim"]:
        """What the eyes make of a picture to edit."""
        if not isinstance(self.omni.vision, VisionEncoder):
            raise ConfigError("this painter sees what it edits; add 'vision' to model.parts")
        return look_at(self.omni.vision, [sight])[0]

    @torch.no_grad()
    def _latents(
        self, pictures: Sequence[np.ndarray]
    ) -> Float[Tensor, "pictures channels rows columns"]:
        return self.painter.encode(torch.from_numpy(np.stack(pictures)).to(self.device))


def _alike(kinds: Sequence[Hashable]) -> list[list[int]]:
    """The places of equal kinds, together."""
    places: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    return list(places.values())


def _queries(example: Example, rows: Tensor) -> Tensor:
    """The rows of a picture's query tokens; all of them where queries stand in the connector."""
    assert example.prompt is not None
    spans = [span for span in example.prompt.spans if span.kind == "query"]
    return rows[spans[-1].start : spans[-1].start + spans[-1].length] if spans else rows


def _draw(generator: torch.Generator) -> float:
    return float(uniform((), generator))


def _times(count: int, shift: float, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Times of noised examples, from 0 (noise) to 1, as a schedule of that shift spreads them."""
    even = uniform((count,), generator)
    return 1 - shifted(1 - even, shift)


def _need(part: nn.Module | None, name: str) -> nn.Module:
    if part is None:
        raise ConfigError(f"model.parts lacks '{name}', which a lesson of this stage needs")
    return part
