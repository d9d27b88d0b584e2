"""A few of what `tests/fuzz` does in thousands: generated requests, malformed frames."""

import asyncio
import random
import re
import sys
from pathlib import Path

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))

import fuzz_http
import fuzz_realtime


@pytest.mark.slow
def test_generated_requests_end_in_no_server_error(place, tmp_path):
    log = tmp_path / "log"
    assert fuzz_http.attack(place.url, 6, seed=1, phases="fuzzing", log=log) == 0, log.read_text()
    report = fuzz_http.counted(httpx.get(f"{place.url}/metrics").text)
    generated = sum(map(int, re.findall(r"(\d+) generated", log.read_text())))
    assert generated > 40
    assert report["requests"] > 0.9 * generated  # some are no HTTP and reach no route
    assert report["server_errors"] == 0


@pytest.mark.slow
def test_malformed_frames_trouble_nobody_else(place):
    report = asyncio.run(fuzz_realtime.attack(place, 100, random.Random(1)))
    assert fuzz_realtime.is_well(report), report
    assert sum(report["answered"].values()) > 50
