"""The talker's files: strict configs, names that run both ways, what does not fit together."""

import pytest
import torch
from miniature.configs import talker_configs

from mingle.checkpoints.flash_omni_2 import audio_vae, read_speech, speech_rules, talker
from mingle.checkpoints.mapping import apply, invert
from mingle.checkpoints.speech_files import SpeechFiles, read_presets
from mingle.errors import CheckpointError, ConfigError
from mingle.talker.speech import SpeechModel


def changed(**changes):
    """talker_configs() with `file__key__key=value` replaced; None takes the key away."""
    configs = talker_configs()
    for path, value in changes.items():
        file, *keys = path.split("__")
        target = configs[{"talker": "talker/config.json", "vae": "talker/vae/config.json"}[file]]
        for key in keys[:-1]:
            target[key] = dict(target[key])
            target = target[key]
        target[keys[-1]] = value
        if value is None:
            del target[keys[-1]]
    return configs


def test_rules_run_both_ways():
    config = read_speech(talker_configs())
    ours = SpeechModel(config).state_dict()
    theirs = invert(speech_rules(config), ours)
    again, report = apply(speech_rules(config), theirs)
    assert report.ignored == {}
    assert all(torch.equal(ours[name], again[name]) for name in ours)
    assert "cfm.model.blocks.0.attn.to_q.weight" in theirs
    assert "vae/encoder.cls_embed" in theirs


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"talker__new_key": 1}, "unknown key 'new_key'"),
        ({"talker__flowmodel__qk_norm": "layer_norm"}, "'qk_norm' in .* is 'layer_norm'"),
        ({"talker__flowmodel__llm_cond_dim": 7}, "'llm_cond_dim'"),
        ({"talker__patch_size": None}, "'patch_size' is missing"),
        ({"talker__steps": "ten"}, "'steps' .* expected int"),
        ({"vae__enc_kwargs__latent_dim": 8}, "latent_dim"),
        ({"vae__dec_kwargs__new_key": 1}, "unknown key 'new_key'"),
    ],
)
def test_what_is_not_understood_is_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        read_speech(changed(**changes))


def test_an_autoencoder_of_other_latents_does_not_fit():
    other = changed(vae__enc_kwargs__latent_dim=8, vae__dec_kwargs__latent_dim=8)
    with pytest.raises(ConfigError, match="8 latent channels, the talker 64"):
        read_speech(other)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, (None,) * 4),
        ({"use_sliding_window": True, "sliding_window": 8}, (None,) * 4),  # from layer 28 on
        (
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
            (None, None, 8, 8),
        ),
        ({"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 0}, (None,) * 4),
    ],
)
def test_windows_slide_where_the_config_says(window, expected):
    configs = talker_configs()["talker/vae/config.json"]
    for part in ("enc_kwargs", "dec_kwargs"):
        configs[part] = {**configs[part], "backbone": {**configs[part]["backbone"], **window}}
    config = audio_vae.read_config(configs)
    assert config.encoder.windows == expected
    assert config.decoder.windows == expected


def test_with_patches_the_encoder_runs_four_layers_and_the_rest_is_ignored():
    configs = talker_configs()["talker/vae/config.json"]
    backbone = {**configs["enc_kwargs"]["backbone"], "num_hidden_layers": 6}
    configs["enc_kwargs"] = {**configs["enc_kwargs"], "backbone": backbone}
    patched = audio_vae.read_config(configs)
    plain = audio_vae.read_config({**configs, "patch_size": -1})
    assert (patched.encoder.num_layers, plain.encoder.num_layers) == (4, 6)
    assert patched.summarizer.num_layers == 4
    assert plain.summarizer is None
    ours = {f"encoder.{n}": t for n, t in audio_vae.build(patched).encoder.state_dict().items()}
    theirs = invert(audio_vae.encoder_rules(patched), ours)
    theirs["encoder.encoder.layers.5.mlp.up_proj.weight"] = torch.zeros(1)
    _, report = apply(audio_vae.encoder_rules(patched), theirs)
    assert list(report.ignored) == ["encoder.encoder.layers.5.mlp.up_proj.weight"]


def test_a_hop_that_is_not_given_is_320():
    configs = talker_configs()["talker/vae/config.json"]
    configs["enc_kwargs"] = {k: v for k, v in configs["enc_kwargs"].items() if k != "hop_size"}
    assert audio_vae.read_config(configs).encoder_hop == 320


def test_patches_and_history_come_from_the_config():
    raw = talker_configs()
    config = talker.read_config(raw["talker/config.json"], raw["talker/llm/config.json"])
    assert (config.flow.patch, config.flow.history, config.steps) == (4, 32, 10)
    assert config.flow.blocks.inner_dim == 64


def test_presets_are_read_strictly(tmp_path):
    file = tmp_path / "voice_name.json"
    assert read_presets(file, tmp_path) == {}
    file.write_text('{"Ann": {"prompt_text": "Hi.", "prompt_wav_path": "a.wav"}}')
    assert read_presets(file, tmp_path)["Ann"].recordings == (tmp_path / "a.wav",)
    file.write_text('{"Ann": {"prompt_wav_path": "a.wav", "colour": "red"}}')
    with pytest.raises(ConfigError, match="unknown key 'colour'"):
        read_presets(file, tmp_path)


def test_a_missing_tokenizer_is_told(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        SpeechFiles(tokenizer=tmp_path / "tokenizer.json").open_tokenizer()
