"""nano's voice, from the committed weights."""

import numpy as np
import pytest

from mingle.engine.speak import SpeakOptions

pytestmark = pytest.mark.slow


def test_its_voices_are_about_as_loud_and_hardly_reach_full_scale(nano_itself):
    levels = []
    for name in nano_itself.speech.voices.presets:
        voice = nano_itself.speech.voices.find(name)
        pieces = nano_itself.speak(
            "Please leave a message.", voice=voice, options=SpeakOptions(seed=1)
        )
        samples = np.concatenate([piece.samples for piece in pieces])
        assert np.mean(np.abs(samples) > 0.99) < 0.0005  # kal16's pulses stand 27 dB above it
        levels.append(10 * np.log10(np.square(samples).mean()))
    assert len(levels) == 4
    assert max(levels) - min(levels) < 6  # dB
