"""OmniModel.embed: media rows land on their placeholders, and nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from miniature.tiny import (
    TINY_AUDIO,
    TINY_THINKER,
    TINY_VISION,
    tiny_audio,
    tiny_thinker,
    tiny_vision,
)

from mingle.errors import CapacityError, InputError
from mingle.messages import Modality, Span
from mingle.model import OmniModel
from mingle.processing.inputs import Patches, Prompt
from mingle.thinker.positions import position_ids

DRAW = np.random.default_rng(0)


def pixels(grid):
    count = grid[0] * grid[1] * grid[2]
    values = DRAW.standard_normal((count, TINY_VISION.patch_values), dtype=np.float32)
    return Patches(values=values, grid=grid)


SPANS = (
    Span(start=2, length=3, kind="audio", item=0),
    Span(start=6, length=2, kind="image", item=0, grid=(1, 1, 2)),
    Span(start=9, length=1, kind="frame", item=0, grid=(1, 1, 1)),
    Span(start=11, length=1, kind="frame", item=1, grid=(1, 1, 1)),
)
PROMPT = Prompt(
    ids=np.arange(14),
    spans=SPANS,
    images=(pixels((1, 2, 4)),),
    frames=(pixels((1, 2, 2)), pixels((1, 2, 2))),
    recordings=(DRAW.standard_normal((11, TINY_AUDIO.mels), dtype=np.float32),),
)


@pytest.fixture
def model():
    return OmniModel(thinker=tiny_thinker(), vision=tiny_vision(), audio=tiny_audio())


def test_rows_of_media_replace_their_placeholders(model):
    embedded = model.embed(PROMPT)
    expected = model.thinker.embed_tokens(torch.arange(14))
    (heard,) = model.encode_recordings(PROMPT.recordings)
    (seen,) = model.encode_pictures(PROMPT.images)
    expected[2:5], expected[6:8] = heard, seen
    expected[9], expected[11] = torch.cat(model.encode_pictures(PROMPT.frames))
    torch.testing.assert_close(embedded.hidden, expected)


def test_modality_marks_the_spans_and_positions_follow_them(model):
    embedded = model.embed(PROMPT)
    kinds = [Modality(value).name[0] for value in embedded.modality.tolist()]
    assert "".join(kinds) == "TTAAATIITITITT"
    where = position_ids(14, SPANS, axes="video_rope")
    assert torch.equal(embedded.positions, where.ids)
    assert embedded.next_position == where.next_position


def test_text_behind_media_has_its_own_router_where_there_is_one():
    sparse = replace(TINY_THINKER.sparse, routers=tuple(Modality))
    thinker = tiny_thinker(config=replace(TINY_THINKER, sparse=sparse))
    model = OmniModel(thinker=thinker, vision=tiny_vision(), audio=tiny_audio())
    embedded = model.embed(PROMPT)
    assert "".join("TIA."[value] for value in embedded.modality.tolist()) == "TTAAA.II.I.I.."
    assert embedded.reply == Modality.ABOUT_MEDIA
    rest = Prompt(ids=np.arange(3), spans=(), behind_media=True)
    assert model.embed(rest).modality.tolist() == [Modality.ABOUT_MEDIA] * 3
    assert model.embed(Prompt(ids=np.arange(3), spans=())).reply == Modality.TEXT


def test_query_rows_are_written_as_they_come(model):
    query = Span(start=1, length=2, kind="query", item=0, grid=(1, 1, 2))
    prompt, rows = Prompt(ids=np.arange(4), spans=(query,)), torch.ones(2, 16)
    assert torch.equal(model.embed(prompt, rows).hidden[1:3], rows)
    with pytest.raises(InputError, match="2 query tokens, but 0 rows"):
        model.embed(prompt)


def test_a_span_that_does_not_fit_its_features_is_refused(model):
    short = replace(SPANS[1], length=1)
    with pytest.raises(InputError, match=r"image 0 has 1 placeholder tokens .* 2 embeddings"):
        model.embed(replace(PROMPT, spans=(SPANS[0], short, *SPANS[2:])))
    with pytest.raises(InputError, match="1 frame spans, but 2 frames came"):
        model.embed(replace(PROMPT, spans=SPANS[:3]))


def test_media_without_their_encoder_are_refused():
    model = OmniModel(thinker=tiny_thinker(), vision=tiny_vision())
    with pytest.raises(CapacityError, match=r"recordings.*without 'audio'"):
        model.embed(PROMPT)


def test_gradients_reach_the_encoders_through_embed(model):
    model.requires_grad_(True)
    hidden = model.embed(PROMPT).hidden
    (
        hidden * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    ).sum().backward()
    without = [
        name
        for part in (model.vision, model.audio)
        for name, parameter in part.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert without == ["refiner.letters.weight", "refiner.letters.bias"]  # they read, beside it


def test_recordings_are_read_as_two_rows_of_letters_for_each_embedding(model):
    (scores,) = model.read_recordings(PROMPT.recordings)
    embedded = model.encode_recordings(PROMPT.recordings)[0]
    assert scores.shape == (2 * len(embedded), 5)  # nothing, and " abc"
    np.testing.assert_allclose(np.exp(scores).sum(-1), 1.0, rtol=1e-5)


def test_recordings_are_not_read_without_ears():
    with pytest.raises(CapacityError, match="without 'audio'"):
        OmniModel(thinker=tiny_thinker()).read_recordings(PROMPT.recordings)
