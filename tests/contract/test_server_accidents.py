"""What must not bring the server down: killed clients, full disks, hostile files, broken models."""

import asyncio
import base64
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
from miniature.films import write_film
from served import NAME, served

import mingle
from mingle.cli import main
from mingle.errors import InputError
from mingle.messages import Audio, Image, Video
from mingle.serving.decoder import Decoders
from mingle.serving.settings import MediaLimits, Settings

CLIENT = """
import httpx, sys
body = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 7000}
with httpx.stream("POST", sys.argv[1] + "/v1/chat/completions", json=body, timeout=60) as answer:
    for line in answer.iter_lines():
        print("line", flush=True)
"""


def test_a_client_killed_with_kill_9_frees_its_place_within_a_step(place):
    engine = place.house.assistant.engine
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, place.url], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout.readline() == "line\n"
        assert engine.load.running == 1
        client.send_signal(signal.SIGKILL)
        client.wait()
    deadline = time.monotonic() + 10
    while engine.load.running:
        assert time.monotonic() < deadline, "its request still runs"
        time.sleep(0.005)


def test_a_painting_that_nobody_waits_for_makes_room(place):
    url = f"{place.url}/v1/images/generations"
    body = {"prompt": "a cat", "size": "48x32", "num_inference_steps": 1000, "n": 10}  # minutes
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=body, timeout=1)
    answer = httpx.post(url, json={**body, "num_inference_steps": 1, "n": 1}, timeout=30)
    assert answer.status_code == 200


def test_speech_that_nobody_listens_to_makes_room(place):
    url = f"{place.url}/v1/audio/speech"
    long = {"input": "One two three four five. " * 1000, "response_format": "pcm"}
    for _ in range(place.house.settings.max_speakers):
        with httpx.stream("POST", url, json=long, timeout=60) as speech:
            next(speech.iter_bytes())
    assert httpx.post(url, json={"input": "Hi"}, timeout=60).status_code == 200


@contextmanager
def full_disk(folder):
    """A folder of 1 MB on a disk of its own; needs the right to mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def sound(seconds: float) -> bytes:
    import numpy as np
    import soundfile

    target = io.BytesIO()
    hum = 0.3 * np.sin(np.arange(round(seconds * 16_000)) * 0.08)
    soundfile.write(target, hum, 16_000, format="WAV")
    return target.getvalue()


def test_a_full_disk_refuses_what_needs_it_and_serves_the_rest(
    whole_miniature, tmp_path, monkeypatch
):
    assistant = mingle.load(str(whole_miniature))
    with full_disk(tmp_path / "disk") as disk:
        settings = Settings(name=NAME, voices_folder=disk / "voices", default_max_tokens=3)
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with assistant, served(assistant, settings) as place:
            told = {"name": "Ada", "consent": "agreed"}
            files = {"audio_sample": sound(40.0)}  # 1.3 MB: larger than the disk
            url = f"{place.url}/v1/audio/voices"
            answer = httpx.post(url, data=told, files=files, timeout=60)
            assert answer.status_code == 503
            assert "disk" in answer.json()["error"]["message"]
            (disk / "rest").write_bytes(bytes(disk_left(disk)))
            answer = httpx.post(url, data=told, files={"audio_sample": sound(2.0)}, timeout=60)
            assert answer.status_code == 503
            assert "No space left" in answer.json()["error"]["message"]
            assert httpx.get(url).json()["voices"] == ["default"]
            body = {"messages": [{"role": "user", "content": "hi"}]}
            chat = httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
            assert chat.status_code == 200
            (disk / "rest").unlink()
            answer = httpx.post(url, data=told, files={"audio_sample": sound(2.0)}, timeout=60)
            assert answer.status_code == 200


def disk_left(folder) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason(
    whole_miniature, tmp_path, capsys
):
    for name, harm, why in (
        ("cut off", lambda file: file.write_bytes(file.read_bytes()[:1000]), "model-"),
        ("gone", lambda file: file.unlink(), "model-"),
        ("no weights", lambda file: file.write_bytes(b"hello"), "model-"),
    ):
        folder = shutil.copytree(whole_miniature, tmp_path / name)
        harm(sorted(folder.glob("model-*.safetensors"))[0])
        assert main(["serve", "--model", str(folder), "--port", "0"]) == 2
        told = capsys.readouterr().err
        assert why in told
        assert "Traceback" not in told


def test_an_unknown_setting_of_a_model_is_named(whole_miniature, tmp_path, capsys):
    folder = shutil.copytree(whole_miniature, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"]["router_kind"] = "new"
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["serve", "--model", str(folder), "--port", "0"]) == 2
    assert "router_kind" in capsys.readouterr().err


def film() -> bytes:
    target = io.BytesIO()
    write_film(target, 10, container="mp4", movflags="frag_keyframe+empty_moov")
    return target.getvalue()


def test_damaged_media_are_refused_and_the_decoder_lives_on(place, png):
    """Files with bytes turned over, cut out and repeated; each is read or refused, no more."""

    async def main():
        decoders = Decoders(place.house.assistant.processor.media, MediaLimits(decoders=1))
        draw = random.Random(0)
        sources = ((Image, png), (Audio, sound(0.3)), (Video, film()))
        outcomes = {"read": 0, "refused": 0}
        try:
            for number in range(60):
                kind, whole = sources[number % 3]
                try:
                    await decoders.read(kind(source=damaged(whole, draw)))
                    outcomes["read"] += 1
                except InputError:
                    outcomes["refused"] += 1
            for kind, whole in sources:
                await decoders.read(kind(source=whole))
        finally:
            await decoders.close()
        return outcomes, decoders.restarts

    outcomes, restarts = asyncio.run(main())
    assert sum(outcomes.values()) == 60
    assert min(outcomes.values()) > 5
    assert restarts <= 6  # a library may crash on some; that ends one process, nothing else


def damaged(whole: bytes, draw: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(draw.randint(1, 20)):
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)
    if draw.random() < 0.3:
        del data[draw.randrange(len(data)) :]
    if draw.random() < 0.2:
        at = draw.randrange(len(data) + 1)
        data[at:at] = data[: draw.randrange(len(data) + 1)]
    return bytes(data)


def test_what_takes_too_long_or_too_much_to_decode_is_refused(whole_miniature, png):
    limits = MediaLimits(max_decode_s=3.0, max_audio_s=1.0, decoders=1)
    assistant = mingle.load(str(whole_miniature))
    with assistant, served(assistant, Settings(name=NAME, media=limits)) as place:
        url = f"{place.url}/v1/audio/transcriptions"
        long = httpx.post(url, files={"file": sound(2.0)}, timeout=60)
        assert long.status_code == 400
        assert "1" in long.json()["error"]["message"]
        os.kill(place.house.decoders.pids[0], signal.SIGSTOP)  # it never answers
        image = {"url": f"data:image/png;base64,{base64.b64encode(png).decode()}"}
        content = [{"type": "image_url", "image_url": image}]
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": 2}
        slow = httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
        assert slow.status_code == 400
        assert "longer than 3 s to decode" in slow.json()["error"]["message"]
        again = httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
        assert again.status_code == 200


def test_a_full_queue_of_the_real_engine_is_429(whole_miniature):
    from mingle.engine.scheduler import Limits

    limits = Limits(max_requests=1, max_waiting=1)
    assistant = mingle.load(str(whole_miniature), limits=limits)
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 7000}
    with assistant, served(assistant, Settings(name=NAME)) as place:
        url = f"{place.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=60) as first:
            next(first.iter_lines())

            async def crowd():
                """The first two answers of four: at most one of them runs, and one waits."""
                async with httpx.AsyncClient(timeout=60) as client:
                    asked = [asyncio.create_task(client.post(url, json=body)) for _ in range(4)]
                    in_turn = asyncio.as_completed(asked)
                    answered = [await next(in_turn), await next(in_turn)]
                    for task in asked:
                        task.cancel()
                    return answered

            answers = asyncio.run(crowd())
        assert [one.status_code for one in answers] == [429, 429]
        assert all(one.headers["retry-after"] == "1" for one in answers)
        assert httpx.get(f"{place.url}/health").status_code == 200
