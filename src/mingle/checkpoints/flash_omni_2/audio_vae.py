"""The audio autoencoder of the family: `talker/vae/`."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.flash_omni_2.qwen2 import decoder_rules, read_qwen2
from mingle.checkpoints.mapping import Ignore, Rename, Rule
from mingle.errors import ConfigError
from mingle.nn.transformer import DecoderConfig
from mingle.talker.audio_vae import AudioVae, AudioVaeConfig

SUMMARIZER_LAYERS = 4
"""Always, whatever the config says. The released code writes this number into the config that
encoder and summarizer share, so with patches the encoder, too, runs its first four layers only."""

MAX_LAYERS = 128  # more than any encoder has: those past the fourth are in the file, unused

DEFAULT_HOP = 320  # the released code's, used where hop_size is absent


def read_config(raw: Mapping[str, Any]) -> AudioVaeConfig:
    """Read `talker/vae/config.json`. Raises ConfigError for keys or values we do not know."""
    fields = Fields(raw, "talker/vae/config.json")
    patch = fields.take("patch_size", int, -1)
    encoder = Fields(fields.take("enc_kwargs", dict), "enc_kwargs of talker/vae/config.json")
    decoder = Fields(fields.take("dec_kwargs", dict), "dec_kwargs of talker/vae/config.json")
    layers = SUMMARIZER_LAYERS if patch != -1 else None
    backbone = encoder.take("backbone", dict)
    latent_dim = encoder.take("latent_dim", int)
    if decoder.take("latent_dim", int) != latent_dim:
        raise ConfigError(
            "latent_dim of enc_kwargs and dec_kwargs differ in talker/vae/config.json"
        )
    config = AudioVaeConfig(
        sample_rate_hz=fields.take("sample_rate", int),
        latent_dim=latent_dim,
        frames_per_latent=max(1, patch),
        frame_samples=encoder.take("input_dim", int),
        encoder_hop=encoder.take("hop_size", int, DEFAULT_HOP),
        decoder_hop=decoder.take("output_dim", int),
        encoder=read_qwen2(backbone, "the encoder's backbone", max_layers=layers),
        summarizer=_summarizer(backbone) if patch != -1 else None,
        decoder=read_qwen2(decoder.take("backbone", dict), "the decoder's backbone"),
    )
    fields.ignore("training only", "init_method", "semantic_module_kwargs", "lambda_semantic")
    fields.expect("model_type", "audio_vae", "AudioVAE")
    ignore_defaults(fields)
    for part in (encoder, decoder, fields):
        part.done()
    return config


def build(config: AudioVaeConfig) -> AudioVae:
    """The module, with untrained parameters."""
    return AudioVae(config)


def rules(config: AudioVaeConfig) -> tuple[Rule, ...]:
    """Names in `talker/vae/model.safetensors`."""
    return (*encoder_rules(config), *decoder_rules_of(config))


def encoder_rules(config: AudioVaeConfig) -> tuple[Rule, ...]:
    """Names below `encoder.`."""
    dim = config.encoder.dim
    shared: tuple[Rule, ...] = (
        Rename("encoder.fc1.weight", "encoder.frame_in.weight"),
        Rename("encoder.fc2.{weight|bias}", "encoder.frame_mix.{weight|bias}"),
        Rename("encoder.fc3.{weight|bias}", "encoder.out.{weight|bias}"),
        Ignore("encoder.norm.*", "the released code never calls this norm"),
        *_decoder("encoder.encoder.", "encoder.backbone.", config.encoder),
    )
    if config.summarizer is None:
        return shared
    unused = range(config.encoder.num_layers, MAX_LAYERS)
    return (
        *shared,
        *(Ignore(f"encoder.encoder.layers.{i}.*", "see SUMMARIZER_LAYERS") for i in unused),
        Rename("encoder.cls_embed", "encoder.summarizer.summary", reshape=((1, 1, dim), (dim,))),
        *_decoder("encoder.aggregator.", "encoder.summarizer.backbone.", config.summarizer),
    )


def decoder_rules_of(config: AudioVaeConfig) -> tuple[Rule, ...]:
    """Names below `decoder.`."""
    return (
        Rename("decoder.fc1.{weight|bias}", "decoder.latent_in.{weight|bias}"),
        Rename("decoder.head.out.{weight|bias}", "decoder.head.{weight|bias}"),
        Ignore("decoder.head.istft.window", "constant: the periodic Hann window"),
        *_decoder("decoder.decoder.", "decoder.backbone.", config.decoder),
    )


def _decoder(theirs: str, ours: str, config: DecoderConfig) -> tuple[Rule, ...]:
    embedding = Ignore(f"{theirs}embed_tokens.weight", "the decoder is fed embeddings")
    return (embedding, *decoder_rules(config, theirs, ours))


def _summarizer(backbone: Mapping[str, Any]) -> DecoderConfig:
    layered = {**backbone, "num_hidden_layers": SUMMARIZER_LAYERS}
    return read_qwen2(layered, "the encoder's backbone")
