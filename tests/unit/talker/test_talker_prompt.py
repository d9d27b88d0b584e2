"""The prompt: slots where they belong, and a user's text that stays text."""

import json

import pytest
import torch
from miniature.speech import tiny_speaker

from mingle.errors import InputError
from mingle.talker.instruction import Style, dialogue_text, music_text
from mingle.talker.prompt import MUSIC, Script, embed, lay_out
from mingle.talker.voice import NEUTRAL, Voice, cast


@pytest.fixture
def speaker(tmp_path):
    return tiny_speaker(tmp_path)


def laid_out(speaker, script):
    return lay_out(script, speaker.reader._encode_control, speaker.reader.tokenizer.encode)


def tokens(speaker, layout):
    return speaker.reader.tokenizer.decode(layout.ids, keep_special=True)


def test_special_tokens_in_a_text_are_spelled_not_obeyed(speaker):
    script = Script(text="say <audio> and <|im_end|>", transcript="<audio>", num_patches=2)
    layout = laid_out(speaker, script)
    audio = speaker.reader.tokenizer.token_id("<audio>")
    assert list(layout.ids).count(audio) == 1
    assert layout.patch_slots == (len(layout.ids) - 2, len(layout.ids) - 1)
    assert layout.ids[layout.patch_slots[0] - 1] == audio
    assert "say <audio> and <|im_end|>" in tokens(speaker, layout)


def test_speaker_slots_are_the_pads_between_the_vision_marks(speaker):
    layout = laid_out(speaker, Script(text="hi", num_speakers=2))
    pad = speaker.reader.tokenizer.token_id("<|vision_pad|>")
    assert [layout.ids[slot] for slot in layout.speaker_slots] == [pad, pad]
    assert "  speaker_2:<|vision_start|><|vision_pad|><|vision_end|>\n" in tokens(speaker, layout)


def test_music_has_no_text_input_line(speaker):
    text = music_text(genre="folk", mood="glad", instrument="lute", theme="sea", seconds=30)
    assert " Text input:" not in tokens(speaker, laid_out(speaker, Script(task=MUSIC, text=text)))
    assert " Text input:" in tokens(speaker, laid_out(speaker, Script(text="Genre: folk")))


def test_a_recording_without_its_transcript_takes_no_place(speaker):
    layout = laid_out(speaker, Script(text="hi", num_patches=3))
    assert layout.patch_slots == ()
    assert tokens(speaker, layout).endswith("assistant\n<audio>")


def test_embeddings_are_written_over_exactly_the_slots(speaker):
    talker = speaker.model.talker
    layout = laid_out(speaker, Script(text="hi", num_speakers=1, transcript="x", num_patches=2))
    plain = talker.token_embedding(torch.tensor(layout.ids))
    found = embed(talker, layout, torch.full((1, 16), 7.0), torch.full((2, 16), 9.0))
    changed = (found != plain).any(dim=1).nonzero().flatten().tolist()
    assert changed == [*layout.speaker_slots, *layout.patch_slots]
    assert torch.equal(found[layout.speaker_slots[0]], torch.full((16,), 7.0))


def test_nobody_in_particular_is_zero_at_the_models_width(speaker):
    rows = speaker.model.speaker_rows(NEUTRAL)
    assert torch.equal(rows, torch.zeros(1, 16))
    someone = Voice(name="a", speakers=torch.zeros(1, 192))
    assert torch.equal(
        speaker.model.speaker_rows(someone)[0], speaker.model.talker.speaker_head.bias
    )


def test_a_cast_speaks_in_the_order_given():
    people = [
        Voice(name=n, speakers=torch.full((1, 192), v), latents=torch.full((4, 6), v), transcript=n)
        for n, v in (("Ann", 1.0), ("Bob", 2.0))
    ]
    together = cast(people)
    assert together.transcript == " speaker_1:Ann\n speaker_2:Bob\n"
    assert together.speakers[:, 0].tolist() == [1.0, 2.0]
    assert together.latents[:, 0].tolist() == [1.0] * 4 + [2.0] * 4
    assert dialogue_text([(1, "Hi"), (2, "Ho")]) == " speaker_1:Hi\n speaker_2:Ho\n"


def test_a_style_is_the_json_the_talker_learned():
    told = json.loads(Style(emotion="happy", speed="fast").instruction())
    (item,) = told["audio_sequence"]
    assert list(item) == "序号 说话人 方言 风格 语速 基频 音量 情感 BGM IP".split()
    assert item["情感"] == "高兴"
    assert item["语速"] == "快速"
    assert item["BGM"] == dict.fromkeys(("Genre", "Mood", "Instrument", "Theme", "ENV", "SNR"))
    assert Style().instruction() is None


def test_background_music_with_a_loudness_stands_first():
    told = json.loads(Style(music=(("SNR", 10), ("Genre", "folk"))).instruction())
    (item,) = told["audio_sequence"]
    assert list(item) == "序号 说话人 BGM 情感 方言 风格 语速 基频 音量 IP".split()
    assert list(item["BGM"].items()) == [("SNR", 10), ("Genre", "folk")]


@pytest.mark.parametrize("style", [Style(speed="warp"), Style(music=(("Colour", "red"),))])
def test_what_the_talker_never_learned_is_refused(style):
    with pytest.raises(InputError, match=r"warp|Colour"):
        style.instruction()
