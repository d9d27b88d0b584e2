"""The talker, its autoencoder and the text front end compute what the released ones computed."""

from pathlib import Path

import pytest

from mingle.evaluation.parity import run_case

CASES = {
    "audio_vae_encode": 6,
    "audio_vae_encode_nopatch": 6,
    "audio_vae_encode_swa": 6,
    "audio_vae_decode": 6,
    "audio_vae_decode_nopatch": 6,
    "audio_vae_decode_swa": 6,
    "talker_dit_velocity": 7,
    "talker_cfm_solve": 13,
    "talker_heads": 2,
    "talker_aggregator": 1,
    "talker_prompt_wav": 3,
    "talker_prompt_assembly": 18,
    "talker_ar_loop": 12,
    "talker_silence_holder": 4,
    "talker_text_front": 101,
    "talker_tn_rules": 32,
}


@pytest.mark.parametrize(("name", "num_checks"), CASES.items())
def test_speech_equals_the_stored_outputs(name, num_checks):
    report = run_case(Path(__file__).parent / name, name)
    assert report.passed, [check for check in report.checks if not check.passed]
    assert len(report.checks) == num_checks
