"""`mingle evaluate MODEL`: every ability on held-out data, with bars and confidence intervals."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mingle
from mingle.cli import print_json, sheet
from mingle.errors import InputError

if TYPE_CHECKING:
    from mingle.engine.assistant import Assistant
    from mingle.evaluation.abilities import Ability, Effort

VERDICTS = {None: "", True: "reached", False: "missed"}
SEEN_AND_HEARD = (".png", ".wav", ".mp4")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, which abilities, how much of each set."""
    parser.add_argument("model", nargs="?", default="nano", help="name or folder (default: nano)")
    parser.add_argument("--only", metavar="ABILITY", action="append", help="may be given again")
    parser.add_argument(
        "--share", type=float, default=1.0, help="how much of each set, 0 to 1 (default: 1)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="a page with all figures and samples"
    )


def run(args: argparse.Namespace) -> None:
    """Measure one ability after another; a table, a page, or one JSON object."""
    from mingle.engine.assistant import load
    from mingle.evaluation.abilities import ABILITIES, Effort

    if not 0 < args.share <= 1:
        raise InputError(f"--share is {args.share}; give more than 0 and at most 1")
    known = {ability.name: ability for ability in ABILITIES}
    if unknown := set(args.only or ()) - set(known):
        raise InputError(f"there is no ability '{min(unknown)}'; known: {', '.join(known)}")
    effort = Effort(share=args.share, samples=args.report)
    out = sys.stderr if args.json else sys.stdout
    reports: list[dict[str, Any]] = []
    with load(args.model) as assistant:
        for name in args.only or known:
            reports.append(measure(assistant, known[name], effort))
            print("\n".join(lines_of(reports[-1])), file=out, flush=True)
    told = {
        "model": args.model,
        "version": mingle.__version__,
        "share": args.share,
        "abilities": reports,
    }
    if args.report is not None:
        print(f"\nsee and hear it: {write_report(args.report, told)}", file=out)
    if args.json:
        print_json(told)


def measure(assistant: "Assistant", ability: "Ability", effort: "Effort") -> dict[str, Any]:
    """An ability's figures as JSON holds them, or why it was left out."""
    report: dict[str, Any] = {"name": ability.name, "title": ability.title, "data": ability.data}
    missing = [part for part in ability.parts if part not in assistant.folder.parts]
    if missing:
        return report | {"skipped": f"the model has no {', '.join(missing)}"}
    start = time.perf_counter()
    figures = ability.measure(assistant, effort)
    report["figures"] = [asdict(one) | {"passed": one.passed} for one in figures]
    report["seconds"] = round(time.perf_counter() - start, 1)
    return report


def lines_of(report: dict[str, Any]) -> list[str]:
    """An ability's figures for people, one a line."""
    lines = [f"\n{report['title']}: {report['data']}"]
    if "skipped" in report:
        return [*lines, f"  left out: {report['skipped']}"]
    rows = [cells_of(figure) for figure in report["figures"]]
    return [
        *lines,
        *(f"  {name:<44} {value:>8} {span:<22} {bar}" for name, value, span, bar in rows),
    ]


def cells_of(figure: dict[str, Any]) -> tuple[str, str, str, str]:
    """Name, value, confidence interval with the number of items, bar with the verdict."""
    sign = "at least" if figure["better"] == "higher" else "at most"
    bar = ""
    if figure["bar"] is not None:
        bar = f"{sign} {figure['bar']:g}: {VERDICTS[figure['passed']]}"
    span = f"[{figure['low']:.3f}, {figure['high']:.3f}] of {figure['count']}"
    return figure["name"], f"{figure['value']:.3f}", span, bar


def write_report(folder: Path, told: dict[str, Any]) -> Path:
    """Write the page and the same as JSON into the folder; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    intro = (
        f"What {told['model']} can do on held-out data, Mingle {told['version']}, "
        f"{told['share']:.0%} of each set. Intervals hold with 95 % confidence."
    )
    sections = [
        sheet.section(report["title"], _content(report, folder)) for report in told["abilities"]
    ]
    page = folder / "index.html"
    page.write_text(sheet.page(f"{told['model']}, measured", intro, sections), encoding="utf-8")
    return page


def _content(report: dict[str, Any], folder: Path) -> str:
    about = f"<p>{sheet.text(report['data'])}</p>"
    if "skipped" in report:
        return f'{about}<p class="note">left out: {sheet.text(report["skipped"])}</p>'
    rows = "".join(_row(figure) for figure in report["figures"])
    files = sorted(file for file in (folder / report["name"]).glob("*") if file.is_file())
    shown = [
        sheet.figure(file, str(file.relative_to(folder)), file.stem.replace("_", " "))
        for file in files
        if file.suffix in SEEN_AND_HEARD
    ]
    told = [
        f"<details><summary>{sheet.text(file.stem)}</summary>"
        f"<pre>{sheet.text(file.read_text(encoding='utf-8'))}</pre></details>"
        for file in files
        if file.suffix == ".txt"
    ]
    return f"{about}<table>{rows}</table>{sheet.media(shown)}{''.join(told)}"


def _row(figure: dict[str, Any]) -> str:
    *cells, bar = (sheet.text(cell) for cell in cells_of(figure))
    plain = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr>{plain}<td class="{VERDICTS[figure["passed"]]}">{bar}</td></tr>'
