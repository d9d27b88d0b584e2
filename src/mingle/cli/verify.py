"""`mingle verify FOLDER`: compare with stored outputs of the official code."""

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mingle.cli import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One folder: a case, or a tree of cases."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="one case, or a tree of them")


def run(args: argparse.Namespace) -> int:
    """Exit code 1 when a case fails or is of a kind that nobody knows."""
    from mingle.evaluation.parity import CaseReport, find_cases, run_folder

    reports: list[CaseReport] = []
    total = len(find_cases(args.folder))
    for report in tqdm(run_folder(args.folder), total=total, unit="case", file=sys.stderr):
        reports.append(report)
    summary = {
        "passed": sum(report.passed for report in reports),
        "failed": sum(report.known and not report.passed for report in reports),
        "unknown": sum(not report.known for report in reports),
        "cases": [_as_json(report) for report in reports],
    }
    if args.json:
        print_json(summary)
    else:
        _print_table(summary)
    return 0 if summary["passed"] == len(reports) else 1


def _as_json(report: Any) -> dict[str, Any]:
    checks = [
        {
            "name": check.name,
            "max_abs_diff": check.max_abs_diff if math.isfinite(check.max_abs_diff) else None,
            "tolerance": check.tolerance,
            "passed": check.passed,
        }
        for check in report.checks
    ]
    return {"name": report.name, "kind": report.kind, "passed": report.passed, "checks": checks}


def _print_table(summary: dict[str, Any]) -> None:
    rows = [("case", "tensor", "greatest difference", "tolerance", "verdict")]
    for case in summary["cases"]:
        if not case["checks"]:
            rows.append((case["name"], f"(unknown kind {case['kind']!r})", "", "", "UNKNOWN"))
        for check in case["checks"]:
            diff = check["max_abs_diff"]
            shown = "not comparable" if diff is None else f"{diff:.2e}"
            verdict = "ok" if check["passed"] else "FAILED"
            rows.append((case["name"], check["name"], shown, f"{check['tolerance']:.1e}", verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"\n{summary['passed']} passed, {summary['failed']} failed, {summary['unknown']} unknown")
