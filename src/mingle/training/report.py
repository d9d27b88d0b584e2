"""What a run looks like so far: one page of plots from its log, and the figures of its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mingle.errors import InputError, missing_extra
from mingle.training.run_folder import flat, read_log

COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot: the log's numbers whose path begins so, or ends so."""

    title: str
    prefix: str
    log_scale: bool = False


PANELS = (
    Panel(title="loss, weighed", prefix="loss"),
    Panel(title="losses", prefix="losses/"),
    Panel(title="held out", prefix="evaluation/"),
    Panel(title="learning rate", prefix="learning_rate"),
    Panel(title="gradient norm", prefix="gradient_norm", log_scale=True),
    Panel(title="tokens a second", prefix="speed/tokens_per_s"),
    Panel(title="share of the sgemm rate", prefix="speed/share_of_sgemm"),
    Panel(title="largest load over mean, minus 1", prefix="balance/max_violation/"),
    Panel(title="share of experts without a token", prefix="balance/dead/"),
)


def report(run: Path) -> dict[str, Any]:
    """Write `report.png` into the run's folder; returns its path and the last figures.

    Raises InputError for a folder without a log, CapacityError without matplotlib.
    """
    records = read_log(run)
    if not records:
        raise InputError(f"{run} has no log.jsonl with records; train first")
    series = {panel: _series(records, panel.prefix) for panel in PANELS}
    shown = {panel: lines for panel, lines in series.items() if lines}
    _plot(shown, run.name, run / "report.png")
    last = next(record for record in reversed(records) if "loss" in record)
    evaluations = [record for record in records if "evaluation" in record]
    return {
        "run": str(run),
        "plots": str(run / "report.png"),
        "step": last["step"],
        "loss": last["loss"],
        "losses": last["losses"],
        "evaluation": evaluations[-1]["evaluation"] if evaluations else {},
        "seconds": last["seconds"],
        "tokens": last["tokens"],
    }


def _series(records: Sequence[dict[str, Any]], prefix: str) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of every number under a prefix; layers of balance are averaged."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        gathered: dict[str, list[float]] = {}
        for name, value in flat(record).items():
            if name != prefix and not (prefix.endswith("/") and name.startswith(prefix)):
                continue
            label = name.removeprefix(prefix) or prefix
            label = label.rsplit("/", 1)[0] if prefix.startswith("balance/") else label
            gathered.setdefault(label, []).append(value)
        for label, values in gathered.items():
            found.setdefault(label, []).append((record["step"], sum(values) / len(values)))
    return found


def _plot(series: dict[Panel, dict[str, list[tuple[int, float]]]], title: str, path: Path) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("train", "matplotlib") from error
    rows = -(-len(series) // COLUMNS)
    figure = Figure(figsize=(4.6 * COLUMNS, 3.0 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for place, (panel, lines) in enumerate(series.items(), start=1):
        axis = figure.add_subplot(rows, COLUMNS, place)
        for label, points in lines.items():
            steps, values = zip(*points, strict=True)
            axis.plot(steps, values, label=label, lw=1.2, marker="." if len(steps) < 8 else "")
        axis.set_title(panel.title, fontsize=10)
        axis.grid(alpha=0.25)
        if panel.log_scale:
            axis.set_yscale("log")
        if 1 < len(lines) <= 12:
            axis.legend(fontsize=7, frameon=False)
    figure.savefig(path, dpi=110)
