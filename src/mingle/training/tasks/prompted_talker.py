"""Task `prompted_talker`: the talker whose text is its prompt, as the released one's is.

Beside the task `talker` it shows what the place of the text costs. Two hints help it to find its
place: one head's attention goes to the phone that sounds (`guide`; Tachibana et al. 2017), and each
state says that phone (`phone`). Weighed 0 they are watched only.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.errors import ConfigError
from mingle.nn.attention import Mask, Packed
from mingle.nn.transformer import positions_of
from mingle.talker.flow_head import FlowOptions
from mingle.talker.model import LoopOptions
from mingle.talker.speech import SpeechConfig, SpeechModel
from mingle.training import losses
from mingle.training.tasks.talker import Sentence, TalkerTask

PHONES = tuple(
    "pau aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh "
    "uw v w y z zh".split()
)  # flite's
GUIDANCE = 1.0  # when it speaks: as nano's
GUIDED_HEAD = 0
UNGUIDED_LAYERS = 1  # the first ones read what is near


class PromptedTalkerTask(TalkerTask):
    """Flow matching of every patch given prompt and patches before it, and when to stop."""

    def build(self, config: SpeechConfig) -> nn.Module:
        """The whole of speech out; `start` brings the speaker encoder."""
        talker = config.talker
        if talker.aligned is not None or talker.vocab_size != len(PHONES) or config.speaker is None:
            raise ConfigError(
                "model: this task trains a talker whose text is a prompt of phones, with a speaker "
                f"encoder; leave out talker.aligned, give speaker and vocab_size: {len(PHONES)}"
            )
        self.numbers = {name: i for i, name in enumerate(PHONES)}
        return SpeechModel(config)

    @torch.no_grad()
    def say(self, sentence: Sentence) -> Float[Tensor, " samples"]:
        """Speak a sentence's phones until the talker stops, or for twice as long as it took."""
        talker = self.speech.talker
        options = LoopOptions(
            flow=FlowOptions(steps=talker.config.steps, guidance=GUIDANCE),
            min_patches=2,
            max_patches=2 * len(sentence.latents),
        )
        history = talker.first_history(None)
        drawn = talker.patches(self._prompt(sentence), history, options, self._noise())
        return self.speech.vae.decode(torch.cat([patch.latents for patch in drawn]))

    def _losses(
        self, sentences: Sequence[Sentence], drop: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        talker = self.speech.talker
        counts = [len(one.latents) for one in sentences]
        heard, past = self._heard(sentences, generator)
        rows = [  # the first patch is drawn from the prompt's last row
            torch.cat((self._prompt(one), before[1:]))
            for one, before in zip(sentences, heard.split(counts), strict=True)
        ]
        lengths = tuple(map(len, rows))
        watched = Watched(lengths)
        x = torch.cat(rows)
        hidden = talker(x, positions_of(lengths, x.device), watched).split(lengths)
        said = [len(one.phones) for one in sentences]  # behind the speaker's row
        state = torch.cat([rows[start:] for rows, start in zip(hidden, said, strict=True)])
        sounding = [_sounding(one, self.config.patch_s) for one in sentences]
        phones = torch.cat([one.phones[at] for one, at in zip(sentences, sounding, strict=True)])
        last = self.here(torch.cat([torch.arange(count) == count - 1 for count in counts]))
        return {
            "flow": self._flow(sentences, state, past, drop, generator),
            "stop": losses.stop(talker.stop_head(state), last),
            "guide": watched.missed([at + 1 for at in sounding]),
            "phone": F.cross_entropy(state @ talker.token_embedding.weight.T, phones),
        }

    def _prompt(self, sentence: Sentence) -> Float[Tensor, "tokens dim"]:
        """The speaker, then the phones."""
        talker = self.speech.talker
        speaker = talker.speaker_head(sentence.speaker[None])
        return torch.cat((speaker, talker.token_embedding(sentence.phones)))


class Watched(Packed):
    """Attention that remembers what one head of the guided layers looks for and at."""

    def __init__(self, lengths: Sequence[int]):
        super().__init__(lengths)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def __call__(
        self,
        layer: int,
        queries: Float[Tensor, "tokens heads head_dim"],
        keys: Float[Tensor, "tokens kv_heads head_dim"],
        values: Float[Tensor, "tokens kv_heads head_dim"],
        mask: Mask,
    ) -> Float[Tensor, "tokens heads head_dim"]:
        if layer >= UNGUIDED_LAYERS:
            own = GUIDED_HEAD * keys.shape[1] // queries.shape[1]
            self.seen.append((queries[:, GUIDED_HEAD], keys[:, own]))
        return super().__call__(layer, queries, keys, values, mask)

    def missed(self, wanted: Sequence[Int[Tensor, " _"]]) -> Float[Tensor, ""]:
        """-log of the attention that each sequence's last rows pay to the wanted rows, in nats."""
        found = []
        for queries, keys in self.seen:
            pairs = zip(queries.split(self.lengths), keys.split(self.lengths), strict=True)
            for (asking, offered), rows in zip(pairs, wanted, strict=True):
                scores = asking[-len(rows) :] @ offered.T / math.sqrt(offered.shape[1])
                places = torch.arange(len(offered), device=offered.device)
                later = places > places[-len(rows) :, None]
                found.append(F.cross_entropy(scores.masked_fill(later, -torch.inf), rows))
        return torch.stack(found).mean()


def _sounding(sentence: Sentence, patch_s: float) -> Int[Tensor, " patches"]:
    """Which of its phones sounds in the middle of each patch."""
    patches = torch.arange(len(sentence.latents), device=sentence.ends_s.device)
    middles = (patches + 0.5) * patch_s
    return torch.searchsorted(sentence.ends_s, middles).clamp(max=len(sentence.phones) - 1)
