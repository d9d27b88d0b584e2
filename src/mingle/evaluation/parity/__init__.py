"""Parity: run stored cases of the official implementation and compare number by number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from mingle.errors import InputError
from mingle.evaluation.parity import (
    audio_vae,
    condition,
    perception,
    pictures,
    processor,
    speech,
    talker,
    text_front,
    towers,
)
from mingle.evaluation.parity.check import Check, failure, read_json

KINDS: dict[str, Callable[[Path], list[Check]]] = {
    "llm": perception.check_llm,
    "vision": towers.check_vision,
    "audio": towers.check_audio,
    "full": perception.check_full,
    "processor": processor.check,
    "audio_vae_encode": audio_vae.check_encode,
    "audio_vae_decode": audio_vae.check_decode,
    "talker_dit_velocity": talker.check_velocity,
    "talker_cfm_solve": talker.check_solve,
    "talker_heads": talker.check_heads,
    "talker_aggregator": talker.check_patch_encoder,
    "talker_prompt_wav": talker.check_recording,
    "talker_prompt_assembly": speech.check_prompts,
    "talker_ar_loop": speech.check_loop,
    "talker_silence_holder": speech.check_silence,
    "talker_text_front": text_front.check_text_front,
    "talker_tn_rules": text_front.check_rules,
    "image_condition": condition.check_condition,
    "byt5_mapper": pictures.check_glyphs,
    "zimage_transformer": pictures.check_transformer,
    "image_vae": pictures.check_autoencoder,
    "flow_scheduler": pictures.check_schedule,
    "zimage_sampling": pictures.check_sampling,
    "image_sizes_and_glyph_text": pictures.check_sizes_and_text,
}
"""Every kind of case and what runs it: a function of the case's folder."""

CASE_FAULTS = (
    AssertionError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
)
"""What a broken case, or code that does not fit it, can raise: that case fails, the rest run."""


@dataclass(frozen=True, kw_only=True)
class CaseReport:
    """What came out of one case. A case of an unknown kind has no checks and has not passed."""

    name: str
    kind: str
    checks: tuple[Check, ...]

    @property
    def known(self) -> bool:
        """Whether there is code for this kind of case."""
        return bool(self.checks)

    @property
    def passed(self) -> bool:
        """Whether every check passed, and there was one."""
        return self.known and all(check.passed for check in self.checks)


def find_cases(folder: Path) -> list[Path]:
    """The folder itself when it is a case, else every case below it. Raises InputError if none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected a stored case or a tree of them")
    cases = sorted(path.parent for path in folder.rglob("case.json"))
    if not cases:
        raise InputError(f"no case.json in or below {folder}; expected a stored case")
    return [folder] if folder in cases else cases


def run_folder(folder: Path) -> Iterator[CaseReport]:
    """Run every case of a tree, in order of their names, one report each."""
    for case in find_cases(folder):
        name = case.name if case == folder else case.relative_to(folder).as_posix()
        yield run_case(case, name)


def run_case(case: Path, name: str) -> CaseReport:
    """Run one case. A case that cannot be read or run is a failed one, told by its only check."""
    kind = ""
    try:
        kind = str(read_json(case, "case.json")["kind"])
        checks = KINDS[kind](case) if kind in KINDS else []
        if kind in KINDS and not checks:
            checks = [failure("the case stores nothing that can be compared")]
    except CASE_FAULTS as error:
        checks = [failure(f"{type(error).__name__}: {error}")]
    return CaseReport(name=name, kind=kind, checks=tuple(checks))
