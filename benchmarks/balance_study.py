"""Which balance of routing helps which modality on an unbalanced mix? Off, loss, bias, both.

    python benchmarks/balance_study.py --seeds 3 --out docs/figures

Runs recipes/study/balance.yaml for every arm and seed (same budget), then writes balance.json and
two plots. Runs that are there already are not repeated.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from mingle.training import loop
from mingle.training.balance import Balance
from mingle.training.recipe import Recipe, load
from mingle.training.run_folder import read_log

RECIPE = Path(__file__).parents[1] / "recipes/study/balance.yaml"
EVERY = {"text": 0.01, "image": 0.01, "audio": 0.01}
ARMS = {
    "off": Balance(bias_step=None),
    "auxiliary loss": Balance(batch=EVERY, bias_step=None),
    "bias": Balance(bias_step=0.001),
    "both": Balance(batch=EVERY, bias_step=0.001),
    "bias, step 0.01": Balance(bias_step=0.01),
}
KINDS = ("text", "image", "audio")
COLOURS = ("#4c4c4c", "#c0504d", "#4f81bd", "#7a4fa3", "#8fb4dc")


def main() -> None:
    """Run what is missing, then report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/study/balance"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    args = parser.parse_args()
    logs = {arm: [_run(arm, seed, args.runs) for seed in range(args.seeds)] for arm in ARMS}
    args.out.mkdir(parents=True, exist_ok=True)
    table = {arm: _summary(runs) for arm, runs in logs.items()}
    (args.out / "balance.json").write_text(json.dumps(table, indent=1))
    _plot_curves(logs, args.out / "balance_curves.png")
    _plot_ends(table, args.out / "balance_ends.png")
    print(json.dumps(table))


def _run(arm: str, seed: int, runs: Path) -> list[dict]:
    folder = runs / f"{arm.replace(' ', '_').replace(',', '')}-{seed}"
    loop.train(_recipe(arm, seed), folder, loop.Options(quiet=True))
    return read_log(folder)


def _recipe(arm: str, seed: int) -> Recipe:
    recipe = load(RECIPE)
    stage = replace(recipe.stages[0], balance=ARMS[arm])
    return replace(recipe, seed=seed, stages=(stage,))


def _summary(runs: list[list[dict]]) -> dict[str, dict[str, list[float]]]:
    """By modality: the held-out figures at the end, averaged over layers, one for each seed."""
    ends = [next(r["evaluation"] for r in reversed(run) if "evaluation" in r) for run in runs]
    names = ("max_violation", "mean_violation", "entropy", "dead")
    found: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        found[kind] = {"loss": [end[f"loss/{kind}"] for end in ends]}
        for name in names:
            found[kind][name] = [_over_layers(end, f"{name}/{kind}/") for end in ends]
    pairs = ("text-image", "text-audio", "image-audio")
    found["overlap"] = {p: [_over_layers(end, f"overlap/{p}/") for end in ends] for p in pairs}
    return found


def _over_layers(figures: dict[str, float], prefix: str) -> float:
    values = [value for name, value in figures.items() if name.startswith(prefix)]
    return sum(values) / len(values)


def _plot_curves(logs: dict[str, list[list[dict]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6.4), sharex=True, constrained_layout=True)
    for column, kind in enumerate(KINDS):
        for (arm, runs), colour in zip(logs.items(), COLOURS, strict=True):
            records = [[r for r in run if "losses" in r] for run in runs]
            steps = [r["step"] for r in records[0]]
            losses = [[r["losses"][kind] for r in run] for run in records]
            worst = [
                [_mean(r["balance"]["max_violation"][kind].values()) for r in run]
                for run in records
            ]
            for axis, series in ((axes[0][column], worst), (axes[1][column], losses)):
                columns = list(zip(*series, strict=True))
                axis.plot(steps, [_mean(c) for c in columns], color=colour, label=arm, lw=1.4)
                low, high = [min(c) for c in columns], [max(c) for c in columns]
                axis.fill_between(steps, low, high, color=colour, alpha=0.12, lw=0)
        axes[0][column].set_title(kind)
        axes[1][column].set_xlabel("step")
    axes[0][0].set_ylabel("largest load over mean, minus 1\n(training batches, mean of layers)")
    axes[1][0].set_ylabel("training loss, nats per token")
    axes[0][2].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def _plot_ends(table: dict[str, dict[str, dict[str, list[float]]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    titles = {
        "loss": "held-out loss, nats per token",
        "max_violation": "largest load over mean, minus 1",
        "dead": "share of experts without a token",
    }
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    width = 0.8 / len(table)
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for number, (arm, found) in enumerate(table.items()):
            places = [k + (number - (len(table) - 1) / 2) * width for k in range(len(KINDS))]
            values = [found[kind][name] for kind in KINDS]
            means = [_mean(v) for v in values]
            axis.bar(places, means, width * 0.92, color=COLOURS[number], label=arm)
            for place, seeds in zip(places, values, strict=True):
                axis.plot([place] * len(seeds), seeds, ".", color="black", ms=3)
        axis.set_xticks(range(len(KINDS)), KINDS)
        axis.set_title(title, fontsize=10)
    axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
