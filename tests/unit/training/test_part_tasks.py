"""Tasks that train one part: pictures' and voices' autoencoders, ears on letters."""

import numpy as np
import pytest
import torch
from miniature.speech import TINY_VAE

from mingle.encoders.refiner import Refiner, RefinerConfig
from mingle.painter.config import AutoencoderConfig
from mingle.training.pieces import Pieces
from mingle.training.streams import Batch, Draw
from mingle.training.tasks import audio_vae, ears, image_vae
from mingle.worlds import sentences, sprites

TINY_PICTURES = AutoencoderConfig(
    pixel_patch=1,
    channels=(8, 8),
    layers_per_level=1,
    latent_channels=4,
    norm_groups=2,
    scale=1.0,
    shift=0.0,
    mid_attention=False,
    quant_conv=False,
    post_quant_conv=False,
)


def falls(task, batch: Batch, name: str, steps: int) -> float:
    """The loss after a few steps on one batch, as a share of the loss before."""
    adam = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], lr=1e-2)
    seen = []
    for _ in range(steps):
        loss = task.losses(batch, torch.Generator().manual_seed(0)).losses[name]
        seen.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return seen[-1] / seen[0]


@pytest.mark.skipif(
    not (sprites.FONT.exists() and sentences.WORDNET.exists()),
    reason="the emoji font and WordNet are not installed (make worlds)",
)
def test_picture_batches_are_those_of_their_seed_and_place():
    task = image_vae.ImageVaeTask(TINY_PICTURES)
    data = image_vae.PictureData(side=32, batch=2, noise=0.1)
    stream = task.batches(data, Draw(seed=3))
    first, second = next(stream), next(stream)
    again = next(task.batches(data, Draw(seed=3, position=first.position)))
    assert torch.equal(second.data[0], again.data[0])
    assert not torch.equal(first.data[0], second.data[0])
    assert first.data[0].abs().max() <= 1.0


def test_pictures_are_learned():
    torch.manual_seed(0)
    task = image_vae.ImageVaeTask(TINY_PICTURES)
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij"
    )
    data = image_vae.PictureData(side=16, batch=1, noise=0.1)
    batch = Batch(data=(torch.stack((rows, columns, -rows))[None], data), samples=1, tokens=256)
    assert falls(task, batch, "pixels", 30) < 0.5


def test_psnr_of_a_tenth_of_the_half_range_is_26_decibels():
    pixels = torch.zeros(2, 3, 4, 4)
    assert image_vae.psnr(pixels + 0.1, pixels) == pytest.approx(26.02, abs=0.01)


def test_voices_are_learned_and_copies_are_as_long():
    torch.manual_seed(0)
    task = audio_vae.AudioVaeTask(TINY_VAE)
    length = task._cut(0.25)
    assert length % TINY_VAE.latent_samples == 0
    tone = torch.sin(torch.arange(length) * 0.2)[None] * 0.5
    batch = Batch(data=tone, samples=1, tokens=length)
    made = task._decode(task._encode(tone).mean, tone)
    assert made.shape == tone.shape
    assert falls(task, batch, "spectra", 30) < 0.6


def test_a_short_recording_is_followed_by_silence():
    cut = audio_vae._window(np.random.default_rng(0), np.ones(5, np.float32), 8)
    assert cut.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


ALPHABET = " abcdefghijklmnopqrstuvwxyz'"


def test_letters_are_read_with_repeats_joined_and_blanks_dropped():
    classes = [0, 9, 9, 0, 6, 13, 0, 13, 16, 1, 0, 1, 13]  # _hh_el_lo _ l
    scores = torch.nn.functional.one_hot(torch.tensor(classes), 29).float()
    assert ears.read_letters(scores, ALPHABET) == "hello l"


def test_ctc_finds_the_only_path():
    target = ears._letters("no", ALPHABET)
    sure = torch.full((2, 29), -30.0)
    sure[0, target[0]] = sure[1, target[1]] = 30.0
    assert ears.ctc_loss([sure.log_softmax(-1)], [target]) == pytest.approx(0.0, abs=1e-6)


def test_batches_of_a_shard_hold_each_utterance_at_most_once_and_are_of_like_length():
    pairs = [(torch.zeros(10 + i, 1), str(i)) for i in range(41)]
    groups = ears._batches(pairs, 8, np.random.default_rng(0))
    texts = [text for group in groups for _, text in group]
    assert len(groups) == 5
    assert len(set(texts)) == 40
    spread = [max(len(x) for x, _ in g) - min(len(x) for x, _ in g) for g in groups]
    assert max(spread) < 25


def test_ears_learn_to_read_letters_from_frames():
    torch.manual_seed(0)
    config = RefinerConfig(
        stride=2, num_layers=1, kernel=3, inner_dim=16, alphabet="ab", letters_per_frame=2
    )
    refiner = Refiner(12, config)
    frames = [torch.randn(n, 12) for n in (9, 12)]
    targets = [torch.tensor([1, 2]), torch.tensor([2])]
    adam = torch.optim.AdamW(refiner.parameters(), lr=1e-2)
    for _ in range(60):
        adam.zero_grad()
        ears.ctc_loss(refiner.read(refiner(frames)), targets).backward()
        adam.step()
    scores = refiner.read(refiner(frames))
    assert [len(x) for x in scores] == [10, 12]  # two rows for each joined frame
    assert [ears.read_letters(x, "ab") for x in scores] == ["ab", "b"]


def test_pieces_are_the_longest_that_fit_and_write_any_word():
    vocabulary = {" ": 0, " the": 1, " mail": 2, "box": 3, "b": 4, "o": 5, "x": 6, " z": 7}
    pieces = Pieces(tuple(vocabulary), lambda piece: [vocabulary[piece]])
    written = pieces.split("the mailbox zo")
    assert [pieces.pieces[i] for i in written] == [" the", " mail", "box", " z", "o"]
    assert pieces.join(written) == "the mailbox zo"
