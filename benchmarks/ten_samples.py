"""Does a miniature learn ten samples of every task by heart, and say them through the commands?

    python benchmarks/ten_samples.py --folder runs/ten_samples

Makes a random miniature and its samples, trains recipes/overfit.yaml, exports the model in the
official layout, and asks it through `mingle chat`, `transcribe`, `speak`, `paint`, `edit` and
`segment`. Prints how many of ten came back in every task, and how near: pictures in dB (PSNR),
masks by intersection over union, speech by its spectral distance from the sample and from the
others.
"""

import argparse
import contextlib
import io
import json
import math
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import soundfile
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from miniature.ten_samples import MASK, SCENES, disc, write_samples, write_start  # noqa: E402

from mingle.cli import main as mingle  # noqa: E402
from mingle.training import losses  # noqa: E402
from mingle.training.tasks.omni import FLOOR, SPECTRA  # noqa: E402

SOURCES = {  # of each stage, with weights
    "sounds": {"synthesis": 1.0},
    "images": {"paint": 0.6, "segment": 0.4},  # every disc stands in both, masks in segment
    "speech": {"synthesis": 1.0},
    "answers": {"text": 0.6, "picture_question": 1.6, "film_question": 0.7, "recognition": 0.8},
    "pictures": {"paint": 2.0, "edit": 1.0, "segment": 1.0},
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether the sample came back, and how near, by the names of measures."""

    right: bool
    near: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Asks the exported model through the commands; writes what it makes into `out`."""

    model: Path
    data: Path
    out: Path

    def text(self, record: dict[str, Any], number: int) -> Answer:
        """The words of an answer, exactly."""
        media = {"images": "--image", "videos": "--video"}
        files = [(media[k], str(self.data / f)) for k in media for f in record.get(k, [])]
        said = _run("chat", _asked(record), *(x for pair in files for x in pair), *self._seeded())
        return Answer(right=said["text"] == record["messages"][1]["content"], near={})

    def recognition(self, record: dict[str, Any], number: int) -> Answer:
        """The words that were heard, exactly."""
        said = _run("transcribe", str(self.data / record["audios"][0]), *self._model())
        return Answer(right=said["text"] == record["messages"][1]["content"], near={})

    def synthesis(self, record: dict[str, Any], number: int) -> Answer:
        """The two strongest tones must be those of the sample, to half a half tone."""
        file, sample = self.out / f"said-{number}.wav", self.data / record["audios"][0]
        _run("speak", _asked(record), "-o", str(file), "--guidance", "0", *self._seeded())
        others = [path for path in sorted(self.data.glob("said-*.wav")) if path != sample]
        near = {
            "distance": _spectral(file, sample),
            "distance_to_others": statistics.mean(_spectral(file, other) for other in others),
            "seconds": soundfile.info(file).duration,
        }
        apart = zip(_tones(file), _tones(sample), strict=True)
        return Answer(right=all(abs(said - given) < 0.5 for said, given in apart), near=near)

    def paint(self, record: dict[str, Any], number: int) -> Answer:
        """Of all samples' pictures the right one must be the nearest."""
        file = self.out / f"painted-{number}.png"
        _run("paint", _asked(record), "-o", str(file), "--guidance", "0", *self._seeded())
        return self._picture(file, record["images"][0])

    def edit(self, record: dict[str, Any], number: int) -> Answer:
        """Of all samples' pictures the right one must be the nearest."""
        file, (before, after) = self.out / f"edited-{number}.png", record["images"]
        words = (str(self.data / before), _asked(record), "-o", str(file), "--guidance", "0")
        _run("edit", *words, *self._seeded())
        return self._picture(file, after)

    def segment(self, record: dict[str, Any], number: int) -> Answer:
        """The mask must cover the disc: intersection over union of 0.8."""
        file, (before, _) = self.out / f"mask-{number}.png", record["images"]
        colour, place = SCENES[number]
        words = (str(self.data / before), f"the {colour} disc", "--colour", MASK, "-o", str(file))
        _run("segment", *words, "--guidance", "0", *self._seeded())
        mask, thing = np.asarray(PIL.Image.open(file).convert("L")) > 127, disc(place)
        iou = float((mask & thing).sum() / (mask | thing).sum())
        return Answer(right=iou >= 0.8, near={"iou": iou})

    def _picture(self, file: Path, wanted: str) -> Answer:
        pixels = np.asarray(PIL.Image.open(file).convert("RGB"), dtype=float)
        errors = {
            path.name: np.square(pixels - np.asarray(PIL.Image.open(path), dtype=float)).mean()
            for path in sorted(self.data.glob("*.png"))
        }
        near = {"psnr_db": 10 * math.log10(255**2 / errors[wanted])}
        return Answer(right=min(errors, key=lambda name: errors[name]) == wanted, near=near)

    def _model(self) -> tuple[str, ...]:
        return ("--model", str(self.model), "--json")

    def _seeded(self) -> tuple[str, ...]:
        return ("--seed", "0", *self._model())


def main() -> None:
    """Make, train, export, ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/ten_samples"))
    parser.add_argument("--count", type=int, default=10, help="ask for so many of each task")
    args = parser.parse_args()
    folder = args.folder.absolute()
    start, data, run, model = (folder / name for name in ("start", "data", "run", "model"))
    if not start.exists():
        write_start(start)
    tasks = write_samples(data)
    cpu, wall = time.process_time(), time.perf_counter()
    _train(start, data, run)
    trained = {
        "training_cpu_s": time.process_time() - cpu,
        "training_wall_s": time.perf_counter() - wall,
    }
    if not model.exists():
        _run("train", str(run), "--export", str(model))
    found = _ask(folder, tasks, args.count)
    whole = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    cost = {name: round(seconds) for name, seconds in {**trained, **whole}.items()}
    print(json.dumps({"asked": args.count, "tasks": found, **cost}))


def _ask(folder: Path, tasks: dict[str, list[dict]], count: int) -> dict[str, dict[str, float]]:
    asker = Asker(model=folder / "model", data=folder / "data", out=folder / "out")
    asker.out.mkdir(exist_ok=True)
    ask = {
        "text": asker.text,
        "picture_question": asker.text,
        "film_question": asker.text,
        "recognition": asker.recognition,
        "synthesis": asker.synthesis,
        "paint": asker.paint,
        "edit": asker.edit,
        "segment": asker.segment,
    }
    found = {}
    for task, question in ask.items():
        answers = [question(record, i) for i, record in enumerate(tasks[task][:count])]
        near = {
            f"mean_{name}": round(statistics.mean(a.near[name] for a in answers), 3)
            for name in answers[0].near
        }
        found[task] = {"right": sum(a.right for a in answers), **near}
        print(task, found[task], file=sys.stderr, flush=True)
    return found


def _train(start: Path, data: Path, run: Path) -> None:
    sources = (
        f"stages.{stage}.data.sources="
        + json.dumps([{"manifest": str(data / f"{n}.jsonl"), "weight": w} for n, w in of.items()])
        for stage, of in SOURCES.items()
    )
    recipe = str(ROOT / "recipes/overfit.yaml")
    _run("train", recipe, f"model.start={start}", *sources, "--run", str(run))


def _asked(record: dict[str, Any]) -> str:
    """The question's words, without the marks of its media."""
    words = record["messages"][0]["content"]
    return words.replace("<image>", "").replace("<video>", "")


def _spectral(one: Path, other: Path) -> float:
    """Spectral distance (losses.spectral) over the time that both last."""
    waves = [torch.from_numpy(soundfile.read(file, dtype="float32")[0]) for file in (one, other)]
    shorter = min(map(len, waves))
    made, real = (wave[None, :shorter] for wave in waves)
    return float(losses.spectral(made, real, SPECTRA, floor=FLOOR))


def _tones(file: Path) -> list[float]:
    """The two strongest tones, in half tones above 100 Hz."""
    wave, rate = soundfile.read(file)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    found = []
    for _ in range(2):
        peak = int(power.argmax())
        found.append(float(12 * np.log2(max(1, peak) * rate / len(wave) / 100)))
        power[int(peak * 0.94) : int(peak * 1.06) + 2] = 0
    return sorted(found)


def _run(*words: str) -> dict[str, Any]:
    """A verb, in this process; what it prints as JSON."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = mingle(list(words))
    if code:
        raise SystemExit(f"mingle {' '.join(words)} ended with {code}")
    lines = out.getvalue().strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


if __name__ == "__main__":
    main()
