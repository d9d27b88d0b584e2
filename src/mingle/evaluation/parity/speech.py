"""Parity of speaking: prompts, the autoregressive loop, streamed sound, the silence gate."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from mingle.evaluation.parity.audio_vae import delay, stream
from mingle.evaluation.parity.check import (
    Check,
    compare,
    compare_facts,
    read_json,
    read_tensors,
    read_tolerance,
)
from mingle.evaluation.parity.talker import load_speech, told_options
from mingle.talker.audio_vae import AudioVae
from mingle.talker.flow_head import FlowOptions, PatchNoise
from mingle.talker.model import LoopOptions
from mingle.talker.prompt import Layout, Script, embed, lay_out
from mingle.talker.silence import SilenceGate

ZEROS = 150  # samples of the silence that a case measures, where it does not tell


def check_prompts(case: Path) -> list[Check]:
    """Kind talker_prompt_assembly: token ids and overwritten positions of every row."""
    tokenizer = Tokenizer.from_file(str(case / "tokenizer.json"))
    checks = []
    for row in read_json(case, "table.json"):
        layout = reference_layout(tokenizer, row, row["n_speakers"], row["n_prompt_patches"])
        slots = [*layout.speaker_slots, *layout.patch_slots]
        decoded = tokenizer.decode(list(layout.ids), skip_special_tokens=False)
        found = {"input_ids": list(layout.ids), "overwritten_positions": slots, "decoded": decoded}
        checks += [compare_facts(f"{row['name']}.{key}", found[key], row[key]) for key in found]
    return checks


@torch.no_grad()
def check_loop(case: Path) -> list[Check]:
    """Kind talker_ar_loop: from text and voice to latents, sound and trimmed sound."""
    told = read_json(case, "case.json")
    tolerance = read_tolerance({k: told["tolerance"][k] for k in ("rtol", "atol")})
    model = load_speech(case)
    talker, vae = model.talker, model.vae
    assert isinstance(vae, AudioVae)  # the released family has no other
    given, stored = read_tensors(case, "inputs"), read_tensors(case, "outputs")
    tokenizer = Tokenizer.from_file(str(case / "tokenizer.json"))
    nobody = talker.like.new_zeros(0, talker.config.lm.dim)
    patches = given["prompt_wav_emb"][0] if "prompt_wav_emb" in given else nobody
    speakers = talker.speaker_head(given["spk_emb"]) if "spk_emb" in given else nobody
    layout = reference_layout(tokenizer, told, speakers.shape[0], patches.shape[0])
    prompt = embed(talker, layout, speakers, patches)
    recorded = given["prompt_wav_lat"][0] if "prompt_wav_lat" in given else None
    history = talker.first_history(recorded)
    plain, noisy = _loop_options(told, talker.config.steps, given)
    spoken = list(talker.patches(prompt, history, plain, _given_noise(given, plain)))
    kicked = talker.patches(prompt, history, noisy, _given_noise(given, noisy))
    latents = torch.cat([patch.latents for patch in spoken])
    patch_size = read_json(case, "config.json")["vae"].get("patch_size", -1)
    waves = stream(vae, delay([patch.latents for patch in spoken], patch_size))
    gate = SilenceGate(sample_rate_hz=vae.config.sample_rate_hz)
    whole, trimmed = vae.decode(latents), reference_gate(gate, waves)
    hidden = torch.stack([patch.hidden for patch in spoken])
    found = {
        "inputs_embeds": prompt[None],
        "llm_hidden": hidden[None],
        "stop_prob": talker.stop_probability(hidden),
        "latents": latents[None],
        "speech": whole[None],
        "speech_trimmed": reference_gate(gate, [whole])[0][None],
        "stream_speech": torch.cat(waves)[None],
        "stream_lens": torch.tensor([wave.shape[0] for wave in waves]),
        "stream_trimmed": torch.cat(trimmed)[None],
        "stream_trimmed_lens": torch.tensor([wave.shape[0] for wave in trimmed]),
        "latents_sde": torch.cat([patch.latents for patch in kicked])[None],
    }
    ids = compare("input_ids", torch.tensor([layout.ids]), stored.pop("input_ids"))
    return [ids, *(compare(name, found[name], stored[name], tolerance) for name in stored)]


def _loop_options(
    told: dict[str, Any], steps: int, given: dict[str, Tensor]
) -> tuple[LoopOptions, LoopOptions]:
    """As the case was made: without kicks, and a few patches with them."""
    about = str(told.get("description", ""))
    plain = LoopOptions(
        flow=told_options(about, "", FlowOptions(steps=steps)),
        min_patches=told["min_new_token"] + 2,  # it stops after patch number `step`, counted from 0
        max_patches=given["noise"].shape[0],
    )
    usual = replace(plain.flow, guidance=3.0, sigma=0.3, temperature=1.2)
    flow = told_options(about, "latents_sde", usual)
    return plain, replace(plain, flow=flow, max_patches=given["sde_noise"].shape[0])


def _given_noise(given: dict[str, Tensor], options: LoopOptions) -> Callable[[int], PatchNoise]:
    """The case's random numbers; kicks are stored for the few patches that use them."""
    unused = torch.zeros(options.flow.steps, *given["noise"].shape[1:])

    def noise(step: int) -> PatchNoise:
        kicks = given["sde_noise"][step] if options.flow.temperature else unused
        return PatchNoise(start=given["noise"][step], kicks=kicks)

    return noise


def check_silence(case: Path) -> list[Check]:
    """Kind talker_silence_holder: the gate over chunks, over all at once, over silence only."""
    told = read_json(case, "config.json")
    gate = SilenceGate(
        sample_rate_hz=told["sample_rate"],
        threshold=told["sil_th"],
        frame_s=told["frame_sec"],
        tail_s=told["last_sil"],
    )
    given = read_tensors(case, "inputs")
    wave = given["speech"][0]
    chunks = wave.split(given["chunk_lens"].tolist())
    streamed = reference_gate(gate, chunks)
    count = re.search(r"(\d+) zero samples", str(read_json(case, "case.json").get("description")))
    silence = reference_gate(gate, [torch.zeros(int(count[1]) if count else ZEROS)])[0]
    found = {
        "stream_out": torch.cat(streamed)[None],
        "stream_out_lens": torch.tensor([piece.shape[0] for piece in streamed]),
        "offline_out": reference_gate(gate, [wave])[0][None],
        "all_silence_len": torch.tensor([silence.shape[0]]),
    }
    stored = read_tensors(case, "outputs")
    return [compare(name, found[name], stored[name]) for name in stored]


# --- faults of the released code, kept out of ours ------------------------------------------------


def reference_layout(
    tokenizer: Tokenizer, row: dict[str, Any], num_speakers: int, num_patches: int
) -> Layout:
    """The released prompt: special tokens inside a user's text act, and slots are searched for."""

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text).ids

    script = Script(
        task=row["prompt"],
        text=row["text"],
        num_speakers=num_speakers,
        instruction=row.get("instruction"),
        transcript=row.get("prompt_text"),
        num_patches=num_patches,
    )
    layout = lay_out(script, encode, encode)
    starts = [n for n, i in enumerate(layout.ids) if i == encode("<|vision_start|>")[0]]
    first = layout.ids.index(encode("<audio>")[0]) + 1
    return Layout(
        ids=layout.ids,
        speaker_slots=tuple(start + 1 for start in starts[:num_speakers]),
        patch_slots=tuple(range(first, first + len(layout.patch_slots))),
    )


def reference_gate(gate: SilenceGate, chunks: Sequence[Tensor]) -> list[Tensor]:
    """The released gate. It cuts the silence after speech off (ours holds it until speech follows),

    and once it has held something, it says the end of the next chunk with speech twice.
    """
    held, rest = chunks[0][:0], chunks[0][:0]
    passed = []
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        if chunk.shape[0] == 0 and not last:
            passed.append(chunk)
            continue
        known = torch.cat((rest, chunk))
        whole = known.shape[0] // gate.frame * gate.frame
        frames, rest = known[:whole], known[whole:]
        end = gate.end_of_speech(frames)
        if end == 0:
            held = torch.cat((held, frames))
            passed.append(torch.cat((held, rest))[: gate.tail] if last else chunk[:0])
            continue
        end += gate.tail if last else 0
        passed.append(torch.cat((held, frames[:end])))
        held = passed[-1][end:]
    return passed
