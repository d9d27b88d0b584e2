"""Films, voices, pictures and long recordings through the endpoints, on the whole miniature."""

import base64
import io
import json

import httpx
import numpy as np
import openai
import pytest
import soundfile
from miniature.films import write_film
from scripted import ScriptedEngine
from served import NAME, scripted, served

CONSENT = "the speaker agreed in writing"


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def film() -> bytes:
    target = io.BytesIO()
    write_film(target, 50, container="mp4", movflags="frag_keyframe+empty_moov")
    return target.getvalue()


def voice(seconds: float = 1.5, pitch: float = 0.08, pauses: int = 0) -> bytes:
    """A hum; with pauses, so many stretches of it with a second of silence between."""
    hum = 0.3 * np.sin(np.arange(round(seconds * 16_000)) * pitch)
    parts = [hum, *([np.zeros(16_000), hum] * pauses)]
    target = io.BytesIO()
    soundfile.write(target, np.concatenate(parts), 16_000, format="WAV")
    return target.getvalue()


def test_a_film_and_a_recording_by_its_address_are_read(client, wav):
    content = [
        {"type": "video_url", "video_url": {"url": data_url(film(), "video/mp4")}},
        {"type": "audio_url", "audio_url": {"url": data_url(wav, "audio/wav")}},
        {"type": "text", "text": "What happens?"},
    ]
    done = client.chat.completions.create(
        model=NAME, messages=[{"role": "user", "content": content}], max_tokens=2
    )
    details = done.usage.prompt_tokens_details
    assert details.image_tokens >= 4  # 2 s at 2 frames a second, in pairs
    assert details.audio_tokens > 0
    fewer = [{**content[0], "max_frames": 2}, content[2]]
    less = client.chat.completions.create(
        model=NAME, messages=[{"role": "user", "content": fewer}], max_tokens=2
    )
    assert 0 < less.usage.prompt_tokens_details.image_tokens < details.image_tokens


def test_a_chat_is_answered_with_a_picture_or_an_edit_of_one(client, png):
    pil = pytest.importorskip("PIL.Image")
    url = {"url": data_url(png, "image/png")}
    wishes = {"modalities": ["image"], "seed": 4, "extra_body": {"size": "48x32"}}
    for content in ("a cat", [{"type": "image_url", "image_url": url},
                              {"type": "text", "text": "make it blue"}]):  # fmt: skip
        done = client.chat.completions.create(
            model=NAME, messages=[{"role": "user", "content": content}], **wishes
        )
        (image,) = done.choices[0].message.images
        data = base64.b64decode(image["image_url"]["url"].partition(",")[2])
        assert pil.open(io.BytesIO(data)).size == (48, 32)
        assert image["seed"] == 4


def test_a_picture_comes_as_a_data_url_in_the_asked_format(client):
    pil = pytest.importorskip("PIL.Image")
    for form in ("png", "jpeg", "webp"):
        made = client.images.generate(
            model=NAME, prompt="a cat", size="48x32", response_format="url", output_format=form,
            extra_body={"num_inference_steps": 1},
        )  # fmt: skip
        url = made.data[0].url
        assert url.startswith(f"data:image/{form};base64,")
        opened = pil.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
        assert (opened.format, opened.size) == (form.upper(), (48, 32))


def test_a_voice_needs_consent_then_speaks_and_is_forgotten(client, address):
    url = f"{address}/v1/audio/voices"
    files = {"audio_sample": ("ada.wav", voice())}
    for told in ({"name": "Ada"}, {"name": "Ada", "consent": " "}):
        refused = httpx.post(url, data=told, files=files, timeout=60)
        assert refused.status_code == 400
        assert "consent" in refused.json()["error"]["message"]
    told = {"name": "Ada", "consent": CONSENT, "speaker_description": "a test"}
    added = httpx.post(url, data=told, files=files, timeout=60).json()
    assert (added["name"], added["consent"]) == ("Ada", CONSENT)
    again = httpx.post(url, data=told, files=files, timeout=60)
    assert again.status_code == 400
    assert "already" in again.json()["error"]["message"]
    listed = httpx.get(url).json()
    assert listed["voices"] == ["default", "Ada"]
    said = {"model": NAME, "input": "Hi", "response_format": "pcm"}
    by_ada = client.audio.speech.create(**said, voice="Ada").content
    assert by_ada != client.audio.speech.create(**said, voice="default").content
    assert httpx.delete(f"{url}/Ada").json() == {
        "id": "Ada", "object": "voice.deleted", "deleted": True,
    }  # fmt: skip
    with pytest.raises(openai.NotFoundError, match="no voice 'Ada'"):
        client.audio.speech.create(**said, voice="Ada")
    assert httpx.delete(f"{url}/Ada").status_code == 404


def test_a_reference_and_instructions_change_how_it_sounds(client):
    said = {"model": NAME, "input": "Hi", "voice": "default", "response_format": "pcm"}
    ways = [
        {},
        {"extra_body": {"ref_audio": [data_url(voice(), "audio/wav")]}},
        {"instructions": "very sadly"},
        {"extra_body": {"seed": 7}},
    ]
    sounds = [client.audio.speech.create(**said, **way).content for way in ways]
    assert len(set(sounds)) == len(ways)


def test_a_reference_that_is_none_is_refused(client):
    said = {"model": NAME, "input": "Hi", "voice": "default"}
    for wish, why in (
        ({"ref_audio": "file:///etc/passwd"}, "data: URL"),
        ({"ref_audio": "http://127.0.0.1/a.wav"}, "fetches no addresses"),
        ({"ref_audio": data_url(b"no sound", "audio/wav")}, "ref_audio|sound|recording"),
        ({"ref_text": "what it says"}, "send that too"),
    ):
        with pytest.raises(openai.BadRequestError, match=why):
            client.audio.speech.create(**said, extra_body=wish)


def test_a_long_recording_is_cut_in_its_pauses(client):
    sound = voice(18.0, pauses=1)  # a piece has at most 30 s
    said = client.audio.transcriptions.create(
        model=NAME, file=("long.wav", sound), response_format="verbose_json",
        extra_body={"hotwords": ["Okafor", "Hangzhou"]}, prompt="a meeting", language="en",
    )  # fmt: skip
    assert said.duration == pytest.approx(37.0)
    first, second = said.segments
    assert first.end <= 19.0
    assert 18.0 <= second.start <= 19.1
    assert said.language == "en"


def test_hints_reach_the_model(place, wav):
    from mingle.engine.transcribe import Hints

    seen: list[Hints] = []
    inner = place.house.assistant.segments

    def noting(recording, hints):
        seen.append(hints)
        return inner(recording, hints)

    place.house.assistant.__dict__["segments"] = noting
    try:
        data = {
            "prompt": "a meeting", "hotwords": ["Okafor, Hangzhou", "Rome"], "language": "zh",
            "dialect": "Cantonese", "response_format": "text",
        }  # fmt: skip
        answer = httpx.post(
            f"{place.url}/v1/audio/transcriptions", data=data, files={"file": wav}, timeout=60
        )
    finally:
        del place.house.assistant.__dict__["segments"]
    assert answer.headers["content-type"].startswith("text/plain")
    assert seen == [
        Hints(
            language="zh",
            dialect="Cantonese",
            context="a meeting",
            hotwords=("Okafor", "Hangzhou", "Rome"),
        )
    ]


def test_a_response_calls_a_function_and_sees_a_picture(whole_miniature, png):
    def script(request):
        if "weather" in str(request.messages[0].parts[0]):
            return ['<tool_call>{"name": "weather", "arguments": {"at": "Rome"}}</tool_call>']
        return ["Red."]

    engine = ScriptedEngine(script)
    with served(scripted(whole_miniature, engine)) as place:
        client = openai.OpenAI(base_url=f"{place.url}/v1", api_key="none", max_retries=0)
        tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
        first = client.responses.create(model=NAME, input="Is it warm?", tools=[tool])
        (call,) = first.output
        assert (call.type, call.name) == ("function_call", "weather")
        assert json.loads(call.arguments) == {"at": "Rome"}
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "30 degrees"}
        client.responses.create(model=NAME, input=[result], previous_response_id=first.id)
        assert "30 degrees" in engine.requests[-1].messages[-1].parts[0].text
        picture = {"type": "input_image", "image_url": data_url(png, "image/png")}
        words = {"type": "input_text", "text": "What colour?"}
        seen = client.responses.create(
            model=NAME, input=[{"role": "user", "content": [picture, words]}], instructions="short"
        )
        assert seen.output_text == "Red."
        assert [m.role for m in engine.requests[-1].messages] == ["system", "user"]
        assert len(engine.requests[-1].messages[-1].parts) == 2
