"""nano from public packages: every recipe in its order, each run exported into one folder.

    python recipes/nano/chain.py --to build/nano
    mingle chat --model build/nano "What is in the picture?" --image models/nano/demo/picture.png

The whole takes hours; stopped, the same command goes on where it was. With `--share
0.002` every run takes so much of its steps, on one shard of data: a nano that knows nothing, but
every step of the road was gone. Needs what `make worlds` installs, and `mingle pull nano`.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

RECIPES = Path(__file__).parent
COMMITTED = Path(__file__).parents[2] / "models" / "nano"
LITTLE = {"shards": 1, "prompt_shards": 1, "held_out": 4}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run of a recipe, with overrides; `folder`: where it exports to, below nano's own (None:
    later runs begin with it); `little`: more overrides when the road is gone in small."""

    run: str
    recipe: str
    overrides: tuple[str, ...] = ()
    folder: str | None = "."
    little: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The recipe's file."""
        return RECIPES / f"{self.recipe}.yaml"


def chain(nano: Path, runs: Path) -> tuple[Step, ...]:
    """Every step of the road, in order."""
    hints = f"{{source: {runs}/hints, into: detector}}"
    stem = "into: tower.patch_embedding.cells, unused: ['*.kinds.*', '*.colours.*', '*.centres.*']"
    return (
        Step(run="ears", recipe="ears"),
        Step(run="speaker", recipe="speaker", folder=None),
        Step(
            run="talker",
            recipe="talker",
            overrides=(f"start=[{{source: {runs}/speaker, part: encoder, into: speaker}}]",),
        ),
        Step(run="hints", recipe="detector", folder=None),
        Step(
            run="judge",
            recipe="detector",
            overrides=("seed=2", "stages.main.data.splits=[held_out, train]"),
            folder="judges",
        ),
        Step(run="eyes", recipe="eyes", overrides=(f"start=[{{source: {runs}/hints, {stem}}}]",)),
        Step(run="senses", recipe="senses", overrides=(f"model.start={nano}",)),
        Step(run="joint", recipe="joint", overrides=(f"model.start={nano}",)),
        Step(run="image_vae", recipe="image_vae", folder=None),
        Step(
            run="brush",
            recipe="brush",
            overrides=(
                f"model.thinker={nano}",
                f"start=[{{source: {runs}/image_vae, into: painter.autoencoder}}, {hints}]",
            ),
            little=(
                "evaluate_every=null",  # its held-out pictures take minutes
                "stages.lettered.data.batch=16",  # 128 are for a GPU
            ),
        ),
    )


def little_data(recipe: Path) -> list[str]:
    """Overrides of every stage of a recipe: one shard of each kind, few held-out questions."""
    found: list[str] = []
    for stage in yaml.safe_load(recipe.read_text(encoding="utf-8"))["stages"]:
        for key, few in LITTLE.items():
            value = stage["data"].get(key)
            if isinstance(value, dict) and all(
                isinstance(number, int) for number in value.values()
            ):
                few = json.dumps(dict.fromkeys(value, few))
            elif not isinstance(value, int):
                continue  # the recipe has no such data, or means something else by the word
            found.append(f"stages.{stage['name']}.data.{key}={few}")
    return found


def latents_of(run: Path) -> list[str]:
    """Overrides that bring an autoencoder's latents to mean 0 and spread 1, as its run ended."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    told = [found for line in lines if (found := json.loads(line).get("evaluation"))][-1]
    numbers = {"scale": 1 / told["latent_std"], "shift": told["latent_mean"]}
    return [f"model.painter.autoencoder.{key}={value:.4f}" for key, value in numbers.items()]


def main() -> None:
    """Run what is not finished, export each run as soon as it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="nano's folder; runs go beside it")
    parser.add_argument("--share", type=float, default=1.0, help="of every run's steps")
    args = parser.parse_args()
    nano, runs = args.to.resolve(), args.to.resolve().with_name(f"{args.to.name}-runs")
    begin(nano)
    for step in chain(nano, runs):
        words = [step.file, "--run", runs / step.run, *step.overrides]
        if step.run == "brush":
            words += latents_of(runs / "image_vae")
        if args.share < 1:
            words += ["--share", args.share, *little_data(step.file), *step.little]
        mingle("train", *words)
        if step.folder is not None:
            mingle("train", runs / step.run, "--export", nano / step.folder)
    print(f"{nano}: try mingle chat --model {nano}")


def begin(nano: Path) -> None:
    """nano as it is before any training: its config, how it is to be read, its list of phones."""
    nano.mkdir(parents=True, exist_ok=True)
    if not (nano / "config.json").exists():
        config = json.loads((COMMITTED / "config.json").read_text(encoding="utf-8"))
        text = json.dumps(config | {"additions": False}, indent=2)
        (nano / "config.json").write_text(text + "\n", encoding="utf-8")
    for name in ("hearing.json", "pronunciations.txt.gz"):
        (nano / name).write_bytes((COMMITTED / name).read_bytes())


def mingle(*words: object) -> None:
    """Run one command, shown before it runs; stop the chain where it fails."""
    command = [sys.executable, "-m", "mingle", *map(str, words)]
    print("$ mingle", *command[3:], flush=True)
    if code := subprocess.run(command).returncode:
        sys.exit(code)


if __name__ == "__main__":
    main()
