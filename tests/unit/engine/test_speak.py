"""Speaking: pieces, rates, voices, cancelling, and that one seed is one sound."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from miniature.speech import tiny_speaker

from mingle.engine.ahead import work_ahead
from mingle.engine.speak import SpeakOptions
from mingle.errors import InputError
from mingle.talker.instruction import Style
from mingle.talker.voice import NEUTRAL, Voice

TEXT = "Hello there, my dear old friend. It is good to see you here again! Goodbye."


@pytest.fixture
def speaker(tmp_path):
    return tiny_speaker(tmp_path)


def sound(chunks):
    return np.concatenate([chunk.samples for chunk in chunks])


def test_speech_comes_in_chunks_that_follow_one_another(speaker):
    chunks = list(speaker.speak(TEXT))
    assert {chunk.sample_rate_hz for chunk in chunks} == {8000}
    assert "".join(chunk.text for chunk in chunks) == TEXT
    total = 0
    for chunk in chunks:
        assert chunk.start_s == pytest.approx(total / 8000)
        total += len(chunk.samples)
    # each of the 3 pieces lasts 12 patches of 0.08 s at least, here the guard ends it near that
    assert total / 8000 >= 3 * 12 * 0.08


def test_a_stream_of_deltas_sounds_like_the_whole_text(speaker):
    deltas = [TEXT[start : start + 5] for start in range(0, len(TEXT), 5)]
    assert np.array_equal(sound(speaker.speak(iter(deltas))), sound(speaker.speak(TEXT)))


def test_sound_starts_before_the_text_is_over(speaker):
    asked = []

    def deltas():
        for word in TEXT.split(" "):
            asked.append(word)
            yield word + " "

    chunks = speaker.speak(deltas())
    first = next(chunks)
    chunks.close()
    assert len(first.samples) > 0
    assert asked[-1] == "friend."  # the first sentence is over, that much is known


def test_the_first_sound_needs_one_patch(speaker, monkeypatch):
    steps = []
    solve = speaker.model.talker.flow_head.solve
    monkeypatch.setattr(
        speaker.model.talker.flow_head, "solve", lambda *given: steps.append(1) or solve(*given)
    )
    chunks = speaker.speak(TEXT)
    while not len(next(chunks).samples):
        continue
    # a patch is 0.08 s, the silence gate judges frames of 0.1 s
    assert len(steps) == 2
    chunks.close()
    assert len(steps) == 2


def test_one_seed_is_one_sound_and_another_another(speaker):
    first, again = (sound(speaker.speak("Hello.")) for _ in range(2))
    other = sound(speaker.speak("Hello.", options=SpeakOptions(seed=1)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[: len(other)], other[: len(first)])


@pytest.mark.parametrize("rate", [4000, 16000, 24000])
def test_another_rate_gives_the_same_sound_at_that_rate(speaker, rate):
    native = list(speaker.speak("Hello."))
    other = list(speaker.speak("Hello.", options=SpeakOptions(sample_rate_hz=rate)))
    assert {chunk.sample_rate_hz for chunk in other} == {rate}
    count = len(sound(native)) * rate / 8000
    assert len(sound(other)) == pytest.approx(count, abs=1)


def test_the_first_piece_gives_the_others_their_voice(speaker):
    prompts = []
    prompt = speaker.reader._prompt

    def spy(script, voice):
        prompts.append(voice)
        return prompt(script, voice)

    speaker.reader._prompt = spy
    list(speaker.speak(TEXT))
    assert prompts[0].latents is None
    assert prompts[1].transcript == "Hello there, my dear old friend."
    assert prompts[1].latents.shape[0] % 4 == 0
    assert torch.equal(prompts[2].latents, prompts[1].latents)


def test_a_described_style_asks_for_nobody_in_particular(speaker):
    prompts = []
    prompt = speaker.reader._prompt
    speaker.reader._prompt = lambda script, voice: (
        prompts.append((script, voice)) or prompt(script, voice)
    )
    list(speaker.speak("Good night.", style=Style(description="calm")))
    script, voice = prompts[0]
    assert voice is NEUTRAL
    assert '"风格": "calm"' in script.instruction


def test_babble_is_ended(speaker):
    with torch.no_grad():
        speaker.model.talker.stop_head.bias.copy_(torch.tensor([50.0, -50.0]))  # never stops
    seconds = len(sound(speaker.speak("Hello there."))) / 8000
    assert seconds == pytest.approx(len("Hello there.") * 5818 / 16000, abs=0.5)


def test_a_talker_that_never_stops_keeps_its_tail(speaker):
    with torch.no_grad():
        speaker.model.talker.stop_head.bias.copy_(torch.tensor([50.0, -50.0]))
    made = len(sound(speaker.sound("a bell", seconds=2.0))) / 8000
    assert 2.0 <= made <= 2.0 + 3 * 0.08 + 0.3


@pytest.mark.parametrize("text", ["", " \n", "😀", "。。。"])
def test_nothing_to_say_is_an_error(speaker, text):
    with pytest.raises(InputError, match="nothing to say"):
        list(speaker.speak(text))


def test_a_text_of_a_megabyte_is_refused_before_anything_is_spoken(speaker):
    with pytest.raises(InputError, match="longer than 1000000"):
        next(speaker.speak("word " * 210_000))


def test_music_and_dialogue_are_made_in_one_go(speaker):
    music = sound(speaker.music(genre="a", mood="b", instrument="c", theme="d", seconds=1))
    assert len(music) / 8000 >= 12 * 0.08
    voice = Voice(name="two", speakers=torch.zeros(2, 192))
    assert len(sound(speaker.dialogue([(1, "Hi."), (2, "Ho.")], voice=voice, seconds=1.0)))
    with pytest.raises(InputError, match="speaker 3 speaks"):
        list(speaker.dialogue([(3, "Who?")], voice=voice))


def test_a_recording_that_leaves_no_room_is_refused(speaker):
    long = Voice(name="long", latents=torch.zeros(4 * 2000, 6), transcript="x")
    with pytest.raises(InputError, match="positions of 2048"):
        list(speaker.speak("Hello.", voice=long))


def test_working_ahead_gives_the_same_chunks(speaker):
    ahead = [chunk.samples for chunk in work_ahead(speaker.speak(TEXT), most=3)]
    plain = [chunk.samples for chunk in speaker.speak(TEXT)]
    assert all(np.array_equal(a, b) for a, b in zip(ahead, plain, strict=True))


def test_cancelling_ends_within_a_patch_and_leaves_no_thread(speaker):
    before = set(threading.enumerate())
    ended = []

    def chunks():
        try:
            yield from speaker.speak(TEXT * 200)
        finally:
            ended.append(True)

    ahead = work_ahead(chunks(), most=4)
    next(ahead)
    start = time.perf_counter()
    ahead.close()
    assert ended == [True]
    assert set(threading.enumerate()) == before
    assert time.perf_counter() - start < 30  # the whole text would take minutes


def test_an_error_of_the_maker_reaches_the_listener():
    def broken():
        yield 1
        raise InputError("no more")

    ahead = work_ahead(broken())
    assert next(ahead) == 1
    with pytest.raises(InputError, match="no more"):
        next(ahead)


def test_steps_are_the_models_own_unless_asked_for(speaker):
    plain = sound(speaker.speak("Hello there."))
    same = sound(speaker.speak("Hello there.", options=SpeakOptions(steps=2)))
    more = sound(speaker.speak("Hello there.", options=replace(SpeakOptions(), steps=4)))
    assert np.array_equal(plain, same)
    assert not np.array_equal(plain[: len(more)], more[: len(plain)])
