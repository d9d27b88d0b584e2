"""The painter as a whole, in miniature: what a picture depends on, and what it does not."""

import gc
import json
import weakref
from dataclasses import replace

import pytest
import torch

from mingle import typed
from mingle.errors import ConfigError, InputError
from mingle.nn.transformer import DecoderConfig
from mingle.painter.config import (
    AutoencoderConfig,
    ConditionConfig,
    GlyphConfig,
    PainterConfig,
    ScheduleConfig,
    SegmentWords,
    TransformerConfig,
)
from mingle.painter.denoise import Aim, CancelledError, denoise, noise
from mingle.painter.glyphs import byte_ids, glyph_text, has_open_quote, in_capitals
from mingle.painter.model import Painter
from mingle.painter.schedule import noise_levels
from mingle.painter.sizes import BUCKETS, canvas_for, paintable, parse_size

SCHEDULE = ScheduleConfig(
    shift=3.0, dynamic=False, base_tokens=256, max_tokens=4096, base_shift=0.5, max_shift=1.15
)
TINY = PainterConfig(
    condition=ConditionConfig(
        thinker_dim=12,
        reads_pictures=True,
        skip_rows=0,
        query_place="thinker",
        query_scales=(1, 2),
        connector=DecoderConfig(
            num_layers=1,
            dim=16,
            num_heads=2,
            num_kv_heads=1,
            head_dim=8,
            inner_dim=24,
            norm_eps=1e-6,
            rope_theta=1e4,
            qkv_bias=True,
            causal=False,
            windows=(None,),
        ),
        dim=8,
        scale=1000.0,
        mlp_dim=None,
        token_dim=8,
    ),
    glyph=GlyphConfig(
        vocab_size=300,
        dim=8,
        head_dim=4,
        num_heads=2,
        inner_dim=12,
        num_layers=1,
        num_mapper_layers=1,
        num_buckets=8,
        max_distance=16,
        norm_eps=1e-6,
        feed_forward="gated-gelu",
        max_length=16,
        capitals=False,
    ),
    transformer=TransformerConfig(
        latent_channels=4,
        patch_size=2,
        dim=16,
        num_layers=1,
        num_refiner_layers=1,
        num_heads=2,
        norm_eps=1e-5,
        token_dim=8,
        rope_theta=256.0,
        time_scale=1000.0,
        token_multiple=32,
        axes_dims=(2, 2, 4),
        axes_lens=(128, 16, 16),
    ),
    autoencoder=AutoencoderConfig(
        pixel_patch=1,
        channels=(4, 4),
        layers_per_level=1,
        latent_channels=4,
        norm_groups=2,
        scale=0.36,
        shift=0.12,
        mid_attention=True,
        quant_conv=False,
        post_quant_conv=False,
    ),
    schedule=SCHEDULE,
    buckets={16: ((16, 16), (12, 20), (20, 12))},
    resolution=16,
    free_sizes=True,
    max_references=2,
    segment=SegmentWords(
        refer="paint {phrase} {colour}",
        refer_any="paint {phrase}",
        classes="classes",
        instances="instances",
        colours={"red": (255, 0, 0)},
    ),
)


@pytest.fixture(scope="module")
def painter():
    torch.manual_seed(0)
    return Painter(TINY).eval()


@pytest.fixture(scope="module")
def conditions(painter):
    draw = torch.Generator().manual_seed(1)
    hidden = [torch.randn(4, 12, generator=draw) for _ in range(3)]
    with torch.no_grad():
        return painter.condition(hidden, ["", 'Text "HI". ', ""])


def levels(steps=3):
    return noise_levels(SCHEDULE, steps=steps, num_tokens=16)


def test_text_to_draw_adds_as_many_rows_as_the_encoder_reads(conditions):
    assert [len(tokens) for tokens in conditions] == [4, 4 + 16, 4]
    assert conditions[1][:4].norm(dim=-1) == pytest.approx(torch.ones(4), abs=1e-5)
    read = len(b'Text "HI". ') + 1
    assert conditions[1][4 + read :].abs().max() == 0  # padding, which stays visible
    assert conditions[1][4 : 4 + read].norm(dim=-1).min() > 0


def test_a_batch_equals_single_pictures(painter, conditions):
    seeds = (7, 8, 9)
    together = denoise(
        painter, noise(seeds, (4, 8, 8)), Aim(conditions=conditions, guidance=2.0), levels=levels()
    )
    for index, seed in enumerate(seeds):
        alone = denoise(
            painter,
            noise([seed], (4, 8, 8)),
            Aim(conditions=conditions[index : index + 1], guidance=2.0),
            levels=levels(),
        )
        # fp32; a batch is multiplied in another order, and mates of other length are masked
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-4, rtol=1e-4)


def test_guidance_pulls_away_from_the_picture_without_words(painter, conditions):
    start = noise([3], (4, 8, 8))
    one_step = levels(1)
    t = torch.zeros(1)
    asked = painter.finish(conditions[0])
    with torch.no_grad():
        with_words = painter.velocity(start, t, [asked])
        without = painter.velocity(start, t, [torch.zeros_like(asked)])
    aim = Aim(conditions=conditions[:1], guidance=1.5)
    expected = start + with_words + 1.5 * (with_words - without)
    torch.testing.assert_close(denoise(painter, start, aim, levels=one_step), expected)


@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_every_useful_step_moves_and_the_reference_wastes_its_last(steps):
    useful = levels(steps)
    assert useful[0] == 1
    assert useful[-1] == 0
    assert (useful[:-1] > useful[1:]).all()
    wasted = noise_levels(SCHEDULE, steps=steps + 1, num_tokens=16, spacing="reference")
    torch.testing.assert_close(wasted[:-1], useful)
    assert wasted[-1] == wasted[-2] == 0


def test_the_estimate_of_the_last_step_is_the_picture(painter, conditions):
    steps = []
    aim = Aim(conditions=conditions[:1], guidance=0.0)
    done = denoise(painter, noise([1], (4, 8, 8)), aim, levels=levels(), on_step=steps.append)
    assert [(step.number, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    torch.testing.assert_close(steps[-1].estimate, done)


@pytest.mark.parametrize("last", [1, 2, 3])
def test_cancelling_at_any_step_leaves_nothing_behind(painter, conditions, last):
    alive = []

    def stop(step):
        alive.extend(weakref.ref(x) for x in (step.latents, step.estimate))
        if step.number == last:
            raise CancelledError

    with pytest.raises(CancelledError):
        denoise(
            painter,
            noise([1], (4, 8, 8)),
            Aim(conditions=conditions[:1], guidance=2.0),
            levels=levels(),
            on_step=stop,
        )
    gc.collect()
    assert [ref() for ref in alive] == [None] * (2 * last)


def test_references_change_the_picture_and_keep_its_size(painter, conditions):
    start = noise([1], (4, 8, 8))
    references = torch.randn(1, 4, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    plain = denoise(painter, start, Aim(conditions=conditions[:1], guidance=0.0), levels=levels())
    aim = Aim(conditions=conditions[:1], guidance=0.0, references=references)
    edited = denoise(painter, start, aim, levels=levels())
    assert edited.shape == plain.shape
    assert (edited - plain).abs().max() > 1e-3


@pytest.mark.parametrize("place", ["thinker", "connector"])
def test_everything_that_is_trained_gets_a_gradient(place):
    torch.manual_seed(0)
    config = replace(TINY, condition=replace(TINY.condition, query_place=place))
    painter = Painter(config)
    rows = 4 if place == "thinker" else 7  # the queries' states, or the whole prompt's
    hidden = torch.randn(rows, 12, requires_grad=True)
    tokens = painter.finish(painter.condition([hidden], ['Text "A". '])[0])
    latents = painter.encode(torch.rand(1, 3, 16, 16) * 2 - 1)
    moved = painter.velocity(latents, torch.tensor([0.3]), [tokens])
    painter.decode(moved).square().mean().backward()
    idle = {name for name, p in painter.named_parameters() if p.grad is None}
    assert idle == ({"queries.0", "queries.1"} if place == "thinker" else set())
    assert hidden.grad is not None


def test_queries_in_the_connector_may_read_prompts_of_any_length():
    config = replace(TINY, condition=replace(TINY.condition, query_place="connector"))
    painter = Painter(config).eval()
    prompts = [torch.randn(3, 12), torch.randn(9, 12)]
    with torch.no_grad():
        together = painter.condition(prompts, ["", ""])
        alone = [painter.condition([prompt], [""])[0] for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_text_without_a_glyph_encoder_is_refused():
    painter = Painter(replace(TINY, glyph=None))
    with pytest.raises(ConfigError, match="no glyph encoder"):
        painter.condition([torch.zeros(4, 12)], ['Text "A". '])


def test_the_network_before_the_transformer_maps_the_negative_too():
    painter = Painter(replace(TINY, condition=replace(TINY.condition, mlp_dim=6)))
    zeros = painter.finish(torch.zeros(2, 8))
    torch.testing.assert_close(zeros[0], zeros[1])
    assert painter.finish(torch.ones(2, 8)).shape == (2, 8)


# --- words and sizes ---------------------------------------------------------------------------


def test_bytes_are_shifted_closed_and_padded():
    ids, mask = byte_ids(["A\u00e9"], 6)
    assert ids.tolist() == [[68, 0xC3 + 3, 0xA9 + 3, 1, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 0, 0]]


def test_text_that_is_too_long_is_cut_with_a_warning(caplog):
    ids, _ = byte_ids(["abcdefgh"], 4)
    assert ids.tolist() == [[100, 101, 102, 1]]
    assert "only the first 3" in caplog.text


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("write 'a' and \"b", "a"),
        ("Delete the word \u201cSALE\u201d", ""),
        ("the word \u201cSALE\u201d, then delete the rest", "SALE"),
        ("\u2018one\u2019 and \u201ctwo\u201d", "two"),
        ("it's 'HI'", ""),  # an odd number of apostrophes quotes nothing
        ("'\u6c49\u5b57\u6c49\u5b57\u6c49\u5b57\u6c49'", ""),  # seven characters weigh 21
    ],
)
def test_quoted_text(prompt, text):
    assert glyph_text(prompt) == (f'Text "{text}". ' if text else "")


def test_open_quotes_are_noticed():
    assert has_open_quote('a sign "OPEN')
    assert has_open_quote("a sign \u201cOPEN")
    assert not has_open_quote('it\'s a "sign"')


@pytest.mark.parametrize("text", ["0", "axb", "10", "10x", "-1x5", "1.5x2", "", "10x10x10"])
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="WIDTHxHEIGHT"):
        parse_size(text)


def test_a_canvas_is_the_next_size_that_can_be_painted():
    assert parse_size("1024x768") == (768, 1024)
    assert paintable(TINY, (13, 17)) == (16, 20)
    for size in ((0, 16), (16, 0), (65, 16), (10**9, 10**9)):
        with pytest.raises(InputError, match=r"empty|too large"):
            paintable(TINY, size)


def test_a_canvas_has_the_nearest_aspect_at_the_nearest_resolution():
    config = replace(TINY, buckets=BUCKETS, resolution=1024)
    assert canvas_for(config, (1080, 1920), None) == (768, 1344)
    assert canvas_for(config, (1080, 1920), 500) == (384, 672)


def test_a_model_of_fixed_canvases_paints_the_nearest_one_for_any_size():
    fixed = replace(TINY, free_sizes=False)
    assert paintable(fixed, (300, 310)) == (16, 16)
    assert paintable(fixed, (3, 9)) == (12, 20)
    with pytest.raises(InputError, match="too large"):
        paintable(fixed, (9000, 9000))


def test_a_config_comes_back_from_json_with_its_numbers_as_keys():
    again = json.loads(json.dumps(typed.plain(TINY)))
    assert typed.read(PainterConfig, again, "painter.json") == TINY
    again["buckets"]["many"] = []
    with pytest.raises(ConfigError, match="'many', expected a whole number"):
        typed.read(PainterConfig, again, "painter.json")


@pytest.mark.parametrize(
    ("prompt", "expected", "text"),
    [
        ('a cat and the text "Cat"', 'a cat and the text "CAT"', "CAT"),
        ("a sign that says \u201c\u00e9t\u00e9\u201d", 'a sign that says "ETE"', "ETE"),
        ("the text '(a.b)'", 'the text "AB"', "AB"),
        ("a cat's hat on a dog's head", "a cat's hat on a dog's head", ""),
    ],
)
def test_a_painter_of_capitals_is_given_capitals(prompt: str, expected: str, text: str):
    assert in_capitals(prompt, glyph_text(prompt)) == (expected, f'Text "{text}". ' if text else "")


def test_what_is_left_out_of_capitals_is_told(caplog):
    assert in_capitals("a star", 'Text "No 7". ') == ("a star", 'Text "NO". ')
    assert "of 'No 7' it draws 'NO'" in caplog.text


@pytest.mark.parametrize("text", ["7", "!?", "\u4f60\u597d", " "])
def test_text_without_a_letter_is_refused_by_a_painter_of_capitals(text: str):
    with pytest.raises(InputError, match="draws the letters A to Z"):
        in_capitals(f'a "{text}"', f'Text "{text}". ')
