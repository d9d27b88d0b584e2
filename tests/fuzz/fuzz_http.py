"""Thousands of generated requests against the miniature: does any of them end in a 5xx?

Serves the miniature with all parts, lets Schemathesis read `/openapi.json` and generate correct and
incorrect requests, and counts by the server's own figures what was asked and answered.
Usage: python tests/fuzz/fuzz_http.py --examples 2000
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "contract")]

import httpx  # noqa: E402
from miniature import write_miniature  # noqa: E402
from served import NAME, served  # noqa: E402

import mingle  # noqa: E402
from mingle.engine.assistant import Assistant  # noqa: E402
from mingle.engine.speak import SpeakOptions  # noqa: E402
from mingle.serving.settings import Settings  # noqa: E402

DEAR_PATHS = ("/v1/audio/speech", "/v1/images/generations")
"""A tenth of the examples: a correct request is spoken or painted."""
PHASES = "examples,coverage,fuzzing"
PARTS = ("thinker", "vision", "audio", "talker", "painter")
COUNTED = re.compile(r'^mingle_requests_total\{route="(.*?)",status="(\d+)"\} (\S+)', re.M)


def main() -> None:
    """Fuzz, print one JSON object; exit code 1 if there was a server error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000, help="of each operation, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="where what Schemathesis says is kept")
    args = parser.parse_args()
    report = fuzz(args.examples, args.seed, args.log)
    print(json.dumps(report, indent=2))
    sys.exit(1 if report["server_errors"] or report["schemathesis_exit_code"] else 0)


def fuzz(examples: int, seed: int, log: Path | None = None) -> dict[str, Any]:
    """Serve, generate, count."""
    with tempfile.TemporaryDirectory() as scratch:
        assistant = mingle.load(str(write_miniature(Path(scratch) / "model", PARTS)))
        assistant.need(*PARTS)
        _hurry(assistant)
        with assistant, served(assistant, Settings(name=NAME)) as place:
            start = time.monotonic()
            code = attack(place.url, examples, seed, log=log)
            seconds = time.monotonic() - start
            page = httpx.get(f"{place.url}/metrics").text
    return {"schemathesis_exit_code": code, "seconds": round(seconds, 1), **counted(page)}


def attack(
    url: str, examples: int, seed: int, *, phases: str = PHASES, log: Path | None = None
) -> int:
    """Generate requests: the dear paths first, then the others. Schemathesis' exit code."""
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/openapi.json"]
    command += ["--checks", "not_a_server_error", "--seed", str(seed), "--phases", phases]
    command += ["--generation-database", "none", "--continue-on-failure", "--no-shrink"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "120"]
    command += ["--workers", "1", "--no-color"]  # CPython 3.11's ast.parse trips over threads
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "cheaper", "PYTHONPATH": str(HERE)}
    codes: list[int] = []
    for which, most in (("--include-path", max(1, examples // 10)), ("--exclude-path", examples)):
        chosen = [word for path in DEAR_PATHS for word in (which, path)]
        done = subprocess.run(
            [*command, "--max-examples", str(most), *chosen],
            env=environment,
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        codes.append(done.returncode)
        if log is not None:
            with log.open("ab") as file:
                file.write(done.stdout)
    return max(codes)


def _hurry(assistant: Assistant) -> None:
    """Speech in one step of the flow instead of ten: as long, as many ways to fail, less work."""
    speak = assistant.speak

    def hurried(text: Any, *, options: SpeakOptions, **rest: Any) -> Any:
        return speak(text, options=replace(options, steps=1), **rest)

    assistant.__dict__["speak"] = hurried


def counted(page: str) -> dict[str, Any]:
    """Requests by status and by route, as the server counted them."""
    statuses: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    for route, status, count in COUNTED.findall(page):
        statuses[status] += int(float(count))
        routes[route] += int(float(count))
    errors = sum(count for status, count in statuses.items() if status.startswith("5"))
    told = {"requests": statuses.total(), "server_errors": errors}
    return {**told, "by_status": dict(sorted(statuses.items())), "by_route": dict(routes)}


if __name__ == "__main__":
    main()
