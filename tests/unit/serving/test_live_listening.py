"""Where turns begin and end, and how they are cut: on sound that is known."""

import numpy as np
import pytest
from miniature.loud import LoudActivity

from mingle.errors import InputError
from mingle.processing.speech_activity import TurnDetector, TurnSettings
from mingle.serving.realtime.listening import Ear

HZ = 24_000


def talk(seconds):
    return (0.5 * np.sin(np.arange(round(HZ * seconds)) / 10)).astype(np.float32)


def silence(seconds):
    return np.zeros(round(HZ * seconds), np.float32)


def listen(ear, *sounds, chunk=2400):
    heard = []
    sound = np.concatenate(sounds)
    for at in range(0, len(sound), chunk):
        heard += ear.feed(sound[at : at + chunk])
    return heard


def feed(detector, probabilities):
    changes = [detector.feed(float(probability)) for probability in probabilities]
    return [(change.kind, change.at_ms) for change in changes if change]


def test_a_turn_begins_after_two_windows_and_ends_after_its_silence():
    detector = TurnDetector(TurnSettings(silence_ms=96, padding_ms=0))
    changes = feed(detector, [0, 0, 0.9, 0.9, 0.9, 0.4, 0.1, 0.1, 0.1, 0.1])
    assert changes == [("started", 64), ("stopped", 288)]


def test_a_click_is_no_turn_and_a_short_pause_does_not_end_one():
    detector = TurnDetector(TurnSettings(silence_ms=96))
    assert feed(detector, [0, 0.9, 0, 0.9, 0, 0]) == []
    assert feed(detector, [0.9, 0.9, 0, 0, 0.9, 0, 0, 0.9]) == [("started", 0)]


def test_a_turn_is_given_with_its_padding_and_its_silence():
    ear = Ear(LoudActivity, TurnSettings(), 30.0)
    started, stopped = listen(ear, silence(2), talk(1), silence(2))
    assert started.at_ms == pytest.approx(1700, abs=32)
    assert stopped.at_ms == pytest.approx(3500, abs=32)
    assert stopped.sound.seconds == pytest.approx(1.8, abs=0.04)
    loud = np.flatnonzero(np.abs(stopped.sound.samples) > 0.1)
    assert loud[0] / HZ == pytest.approx(0.3, abs=0.04)
    assert len(loud) == np.count_nonzero(np.abs(talk(1)) > 0.1)  # nothing of it is lost


def test_silence_is_not_kept():
    ear = Ear(LoudActivity, TurnSettings(), 30.0)
    listen(ear, silence(60))
    assert ear._held.nbytes < 4 * 2 * HZ


def test_a_long_turn_is_cut_where_it_is_quietest():
    ear = Ear(LoudActivity, TurnSettings(silence_ms=500), 30.0)
    heard = listen(ear, talk(7), silence(0.3), talk(3), silence(1))
    assert [one.kind for one in heard] == ["started", "piece", "stopped"]
    assert heard[1].sound.seconds == pytest.approx(7.15, abs=0.16)
    whole = heard[1].sound.seconds + heard[2].sound.seconds
    assert whole == pytest.approx(10.8, abs=0.1)


def test_without_a_detector_the_client_ends_the_turn():
    ear = Ear(None, TurnSettings(), 30.0)
    assert listen(ear, silence(0.2), talk(0.3)) == []
    assert ear.commit().seconds == pytest.approx(0.5)
    with pytest.raises(InputError, match="0 ms"):
        ear.commit()
    listen(ear, talk(1))
    ear.clear()
    with pytest.raises(InputError, match="0 ms"):
        ear.commit()


def test_silero_hears_a_voice_and_no_hum():
    from mingle.checkpoints import packages
    from mingle.checkpoints.voice_activity import VOICE_ACTIVITY
    from mingle.processing.recording import decode_recording
    from mingle.processing.resample import resample
    from mingle.processing.speech_activity import open_speech_activity

    if not packages.is_here(VOICE_ACTIVITY):
        pytest.skip("the network is fetched by 'mingle serve' on a model that hears")
    make = open_speech_activity(packages.find_checked(VOICE_ACTIVITY, "serve"))
    voice = decode_recording("tests/golden/processor/media/speech_qa.wav")
    said = resample(voice.samples, voice.sample_rate_hz, 16_000)
    hum = 0.3 * np.sin(2 * np.pi * 100 * np.arange(48_000) / 16_000).astype(np.float32)
    assert np.mean([p > 0.5 for p in make().feed(said)]) > 0.5
    assert np.mean([p > 0.5 for p in make().feed(hum)]) < 0.05
