"""mingle serve as a user meets it: the address, a stop by signal, and what it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from miniature import write_miniature

from mingle.cli import main

PATIENCE_S = 120


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("served") / "small")


def test_it_serves_until_a_signal_comes(model, tmp_path):
    command = [sys.executable, "-m", "mingle", "serve", "--model", str(model), "--json"]
    command += ["--port", "0", "--api-key", "some-secret", "--voices", str(tmp_path), "--open"]
    shown = tmp_path / "shown.txt"
    (browser := tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" > {shown}\n')
    browser.chmod(0o755)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BROWSER": str(browser)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as server:
        told = json.loads(server.stdout.readline())
        assert told["model"] == "small"
        assert told["parts"] == ["thinker", "vision", "audio"]
        assert told["memory_bytes"] > 10**8
        assert shown.read_text().strip() == told["address"]
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
        url = f"{told['address']}/v1/chat/completions"
        assert httpx.post(url, json=body, timeout=60).status_code == 401
        key = {"Authorization": "Bearer some-secret"}
        answer = httpx.post(url, json=body, headers=key, timeout=60).json()
        assert answer["usage"]["completion_tokens"] == 3
        with httpx.stream(
            "POST", url, json={**body, "stream": True, "max_tokens": 50}, headers=key, timeout=60
        ) as stream:
            server.send_signal(signal.SIGTERM)
            lines = list(stream.iter_lines())
        assert lines[-2] == "data: [DONE]"  # what ran was finished
        assert server.wait(PATIENCE_S) in (0, -signal.SIGTERM)


def test_others_need_a_key_unless_nobody_shall(model, capsys):
    assert main(["serve", "--model", str(model), "--host", "0.0.0.0"]) == 2
    assert "no API key is set" in capsys.readouterr().err
    assert main(["serve", "--model", str(model), "--api-key", "short"]) == 2
    assert "at least 8" in capsys.readouterr().err


def test_a_model_that_cannot_be_loaded_is_told_before_anybody_comes(tmp_path, capsys):
    assert main(["serve", "--model", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_taken_port_is_told(model, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--model", str(model), "--port", str(port)]) == 3
    assert f"127.0.0.1:{port} cannot be listened on" in capsys.readouterr().err
