"""Who may come in, how much may be carried in, and what hostile files can do: raw HTTP."""

import base64
import os
import signal
import time

import httpx
import pytest
from scripted import ScriptedEngine
from served import NAME, scripted, served

from mingle.errors import InputError
from mingle.serving import remote
from mingle.serving.settings import MediaLimits, RealtimeLimits, Settings, hash_key

KEYS = ("first-secret", "second-secret")
HELLO = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def guarded(whole_miniature):
    settings = Settings(
        name=NAME,
        key_hashes=tuple(map(hash_key, KEYS)),
        hosts=("127.0.0.1",),
        origins=("https://page.example",),
        max_body_bytes=20_000,
        max_painting=0.5,
        media=MediaLimits(max_decode_s=20.0, max_decoder_bytes=700 * 2**20),
        realtime=RealtimeLimits(max_sessions=1),
    )
    engine = ScriptedEngine(lambda request: ["Hello."])
    with served(scripted(whole_miniature, engine), settings) as place:
        yield place


def post(place, body=HELLO, key=KEYS[0], **headers):
    auth = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{place.url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={**auth, **headers}, timeout=60)


def image(data: bytes):
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    return {"messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens(guarded, key):
    assert post(guarded, key=key).status_code == 200


@pytest.mark.parametrize("key", ["", "first-secre", "first-secret ", "wrong"])
def test_no_or_another_key_does_not(guarded, key):
    answer = post(guarded, key=key.strip() + "x" if key.endswith(" ") else key)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


def test_health_needs_no_key_and_metrics_do(guarded):
    assert httpx.get(f"{guarded.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{guarded.url}/ready").json()["status"] == "ready"
    assert httpx.get(f"{guarded.url}/metrics").status_code == 401
    page = httpx.get(f"{guarded.url}/metrics", headers={"Authorization": f"Bearer {KEYS[0]}"})
    assert "mingle_time_to_first_token_seconds_count" in page.text


def test_pages_of_other_origins_are_refused(guarded):
    assert post(guarded, Origin="https://evil.example").status_code == 403
    assert post(guarded, Origin=guarded.url).status_code == 200
    answer = post(guarded, Origin="https://page.example")
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in post(guarded).headers


def test_another_host_name_is_refused(guarded):
    assert post(guarded, Host="rebound.example").status_code == 403


def test_a_large_body_is_refused_before_it_is_read(guarded):
    answer = post(guarded, body={"messages": [{"role": "user", "content": "x" * 30_000}]})
    assert answer.status_code == 413
    pieces = (b"x" * 1000 for _ in range(30))  # no length is told
    url, auth = f"{guarded.url}/v1/chat/completions", {"Authorization": f"Bearer {KEYS[0]}"}
    assert httpx.post(url, content=pieces, headers=auth).status_code == 413


def test_a_killed_decoder_fails_one_request_only(guarded, png):
    assert post(guarded, image(png)).status_code == 200
    decoders = guarded.house.decoders
    pid = decoders.pids[0]
    os.kill(pid, signal.SIGSTOP)  # it holds the next job, then dies
    waiting = guarded.house.decoders.restarts
    import threading

    killer = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
    killer.start()
    answer = post(guarded, image(png + b"\0"))
    assert answer.status_code == 400
    assert "ended the process that decoded it" in answer.json()["error"]["message"]
    assert decoders.restarts == waiting + 1
    assert post(guarded, image(png + b"\0\0")).status_code == 200


def test_a_picture_that_blows_up_is_refused(guarded):
    pil = pytest.importorskip("PIL.Image")
    import io
    import struct

    target = io.BytesIO()
    pil.new("1", (8, 8)).save(target, "PNG")
    huge = bytearray(target.getvalue())
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    answer = post(guarded, image(bytes(huge)))
    assert answer.status_code == 400


def test_a_painting_that_takes_too_long_is_refused_before_it_begins(guarded, png):
    auth = {"Authorization": f"Bearer {KEYS[0]}"}
    long = {"prompt": "a cat", "size": "64x48", "num_inference_steps": 100, "n": 2}
    form = {"prompt": "a cat", "num_inference_steps": 30}
    chat = {**HELLO, "modalities": ["image"], "n": 8}
    for path, body in (
        ("images/generations", {"json": long}),
        ("images/edits", {"data": form, "files": {"image": png}}),
        ("images/segmentations", {"data": form, "files": {"image": png}}),
        ("chat/completions", {"json": chat}),
    ):
        answer = httpx.post(f"{guarded.url}/v1/{path}", headers=auth, timeout=60, **body)
        assert answer.status_code == 400, path
        assert "up to 0.5 for one request: ask for" in answer.json()["error"]["message"]
    url = f"{guarded.url}/v1/images/generations"
    short = {**long, "num_inference_steps": 1, "n": 1}
    assert httpx.post(url, json=short, headers=auth, timeout=60).status_code == 200


def test_an_errors_log_holds_no_content(guarded, caplog):
    with caplog.at_level("INFO"):
        post(guarded, body={"messages": [{"role": "user", "content": "my secret diary"}]})
        time.sleep(0.05)
    assert "/v1/chat/completions 200" in caplog.text
    assert "diary" not in caplog.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0"]
)
def test_private_addresses_are_not_fetched(host):
    with pytest.raises(InputError, match="private network"):
        remote.check_address(host, 80)


def test_keys_are_kept_as_hashes_only():
    settings = Settings(name=NAME, key_hashes=(hash_key("a-long-secret"),))
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"{", b"\xff", b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
     b'{"messages": [], "logit_bias": {"\\ud800": "x"}}', b'{"seed": 1e999, "messages": 1}'],
)  # fmt: skip
def test_bodies_that_are_no_requests_are_bad_requests(place, body):
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{place.url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_no_script_comes_from_elsewhere(place):
    assert httpx.get(f"{place.url}/docs").status_code == 404
    assert httpx.get(f"{place.url}/openapi.json").json()["info"]["title"] == "Mingle"
