"""What the released front end does otherwise than ours; seen in its answers to these strings."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingle.evaluation.parity import released_text as released
from mingle.evaluation.parity import text_front
from mingle.evaluation.parity.audio_vae import delay
from mingle.evaluation.parity.condition import _embeds
from mingle.evaluation.parity.speech import check_silence
from mingle.evaluation.parity.talker import told_options
from mingle.messages import Span
from mingle.processing.inputs import Prompt
from mingle.talker.flow_head import FlowOptions

STORED = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1/2 of it", "one half of it"),
        ("7/2 of it", "seven halves of it"),
        ("3/4 of it", "three quarters of it"),
        ("5/18 of it", "five eighteenth of it"),  # no plural
        ("9/105", "nine one hundred and fifth"),
    ],
)
def test_the_released_fractions(written, read):
    assert released.read_english(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("跑了12次。", "跑了12次。"),  # an unknown word: the number stays
        ("跑了12圈。", "跑了十二圈。"),
        ("共20GB，主频30MHz。", "共20GB，主频三十兆赫。"),
        ("约12，密码123。", "约12，密码123。"),
        ("价格是12，尾号为123。", "价格是十二，尾号为幺二三。"),
        ("10005.5元", "一万五点五元"),  # no zero between groups of four
        ("涨了50％，第②个。", "涨了50％，第二个。"),
        ("标普500指数", "标普五百指数"),
        ("花了万元99年", "花了万元九十九年"),
    ],
)
def test_the_released_chinese_numbers(written, read):
    assert released.read_chinese(written) == read


def test_without_a_segment_before_the_end_every_fragment_streams():
    text = "今天天气很好我们去公园散步吧今天"
    row = {"text": text, "max_length": 8, "iter": "one_string", "calls": [{"prompt_text": None}]}
    calls, yields = text_front._speak(row)
    assert [call["stream"] for call in calls] == [True, True]
    assert [told["position"][0] for told in yields] == [0, 0]
    assert "".join(call["text"] for call in calls) == f"{text}。"


def test_a_segment_before_the_end_streams_alone():
    text = "今天天气很好我们去公园散步吧，你去不去。"
    row = {"text": text, "max_length": 50, "iter": "chars", "calls": [{"prompt_text": None}]}
    calls, _ = text_front._speak(row)
    assert [call["stream"] for call in calls] == [True, False]


@pytest.mark.parametrize(
    ("patch_size", "fed"), [(-1, [2, 3, 1]), (1, [0, 2, 4]), (2, [1, 2, 3]), (4, [1, 2, 3])]
)
def test_streams_are_fed_as_late_as_the_released_decoder_works(patch_size, fed):
    latents = torch.arange(6.0)[:, None]
    pieces = delay(latents.split([2, 3, 1]), patch_size)
    assert [len(piece) for piece in pieces] == fed
    assert torch.equal(torch.cat(pieces), latents)


def test_each_prompt_has_its_pictures_and_then_the_queries():
    def prompt(length: int) -> Prompt:
        span = Span(start=0, length=length, kind="image", item=0, grid=(1, 1, length))
        return Prompt(ids=torch.zeros(length, dtype=torch.long).numpy(), spans=(span,))

    pictures, queries = torch.tensor([[1.0], [2.0], [3.0]]), [torch.tensor([[9.0]])]
    rows = _embeds([prompt(2), prompt(1)], pictures, queries)
    assert rows.flatten().tolist() == [1.0, 2.0, 9.0, 3.0, 9.0]


def test_options_are_read_from_what_a_case_tells_of_a_tensor():
    told = (
        "With cfg 2.5, sigma 0.25. latent_sde: cfg 3, sigma 0.5, temperature 1.5 with kicks. "
        "latent_5steps: cfg 1.25, 7 steps."
    )
    usual = FlowOptions(steps=10, guidance=9.0, temperature=0.75)
    assert told_options(told, "", usual) == FlowOptions(steps=10, guidance=2.5, temperature=0.75)
    sde = FlowOptions(steps=10, guidance=3.0, sigma=0.5, temperature=1.5)
    assert told_options(told, "latent_sde", usual) == sde
    short = FlowOptions(steps=7, guidance=1.25, temperature=0.75)
    assert told_options(told, "latent_5steps", usual) == short
    assert told_options(told, "latent_other", usual) == usual


def test_the_silence_that_is_measured_is_as_long_as_the_case_tells(tmp_path):
    case = Path(shutil.copytree(STORED / "talker_silence_holder", tmp_path / "case"))
    for file in case.iterdir():
        file.chmod(0o644)
    told = json.loads((case / "case.json").read_text())
    told["description"] = told["description"].replace("150 zero samples", "30 zero samples")
    (case / "case.json").write_text(json.dumps(told))
    outputs = load_file(case / "outputs.safetensors")
    save_file(outputs | {"all_silence_len": torch.tensor([30])}, case / "outputs.safetensors")
    assert all(check.passed for check in check_silence(case))
