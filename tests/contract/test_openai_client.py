"""The official OpenAI client against our server, on the miniature with random weights."""

import base64
import io
import json
import wave

import numpy as np
import openai
import pytest
import soundfile
from served import NAME

from mingle.processing.recording import decode_recording

HI = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def client(address):
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def media(png, wav):
    data = base64.b64encode(wav).decode()
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]


def test_the_model_list_names_the_served_model(client):
    assert [model.id for model in client.models.list()] == [NAME]
    assert client.models.retrieve(NAME).owned_by == "mingle"


def test_a_chat_tells_how_many_tokens_of_each_kind_it_read(client, png, wav):
    messages = [{"role": "user", "content": media(png, wav)}]
    done = client.chat.completions.create(model=NAME, messages=messages, max_tokens=4)
    details = done.usage.prompt_tokens_details
    assert done.choices[0].finish_reason == "length"
    assert done.usage.completion_tokens == 4
    assert details.image_tokens > 0
    assert details.audio_tokens > 0
    parts = details.image_tokens + details.audio_tokens + details.text_tokens
    assert parts == done.usage.prompt_tokens


def test_a_stream_is_the_same_answer_in_pieces(client):
    options = {"model": NAME, "messages": HI, "max_tokens": 8, "seed": 3, "temperature": 1.0}
    whole = client.chat.completions.create(**options).choices[0].message.content
    chunks = list(client.chat.completions.create(**options, stream=True))
    said = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert said.strip() == whole
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["length"]


def test_usage_comes_last_in_a_stream_that_asks_for_it(client):
    chunks = list(
        client.chat.completions.create(
            model=NAME, messages=HI, max_tokens=3, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    assert chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_seeded_choices_differ_and_come_again(client):
    def ask():
        done = client.chat.completions.create(
            model=NAME, messages=HI, max_tokens=12, n=3, seed=1, temperature=1.5
        )
        return [choice.message.content for choice in done.choices]

    first = ask()
    assert len(set(first)) == 3
    assert ask() == first


def test_logprobs_come_for_each_token(client):
    done = client.chat.completions.create(
        model=NAME, messages=HI, max_tokens=5, logprobs=True, top_logprobs=3
    )
    tokens = done.choices[0].logprobs.content
    assert len(tokens) == 5
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob >= token.logprob - 1e-6


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match=f"served: {NAME}"):
        client.chat.completions.create(model="gpt-17", messages=HI)


def test_what_cannot_be_done_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError, match="frequency_penalty is not supported"):
        client.chat.completions.create(model=NAME, messages=HI, frequency_penalty=1.0)
    with pytest.raises(openai.BadRequestError, match="json_object"):
        client.chat.completions.create(
            model=NAME, messages=HI, response_format={"type": "json_object"}
        )


def test_a_prompt_beyond_the_context_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="tokens"):
        client.chat.completions.create(
            model=NAME, messages=[{"role": "user", "content": "x" * 100_000}]
        )


def test_damaged_media_are_a_bad_request(client):
    url = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError, match="not a picture"):
        client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": content}])


def test_addresses_and_files_are_not_fetched(client):
    for url, why in (
        ("http://127.0.0.1/x", "fetches no addresses"),
        ("file:///etc/passwd", "data:"),
    ):
        content = [{"type": "image_url", "image_url": {"url": url}}]
        with pytest.raises(openai.BadRequestError, match=why):
            client.chat.completions.create(
                model=NAME, messages=[{"role": "user", "content": content}]
            )


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus", "aac"])
def test_speech_is_a_file_of_the_asked_format(client, form):
    said = client.audio.speech.create(model=NAME, input="Hi", voice="default", response_format=form)
    heard = decode_recording(said.content)
    assert heard.sample_rate_hz == (48_000 if form == "opus" else 44_100)
    assert 0.5 < heard.seconds < 5
    assert np.isfinite(heard.samples).all()


def test_raw_speech_is_24_khz_and_streams(client):
    options = {"model": NAME, "input": "Hi", "voice": "default"}
    with client.audio.speech.with_streaming_response.create(
        **options, response_format="pcm"
    ) as stream:
        pieces = list(stream.iter_bytes())
    native = client.audio.speech.create(**options, response_format="wav").content
    samples, rate = soundfile.read(io.BytesIO(native))
    assert sum(map(len, pieces)) / 2 / 24_000 == pytest.approx(len(samples) / rate, abs=0.01)


def test_speech_events_carry_the_same_bytes_as_the_plain_stream(client):
    options = {"model": NAME, "input": "Hi", "voice": "default", "response_format": "pcm"}
    plain = client.audio.speech.create(**options).content
    with client.audio.speech.with_streaming_response.create(
        **options, stream_format="sse"
    ) as stream:
        lines = [line for line in stream.iter_lines() if line.startswith("data: ")]
    events = [json.loads(line[6:]) for line in lines]
    assert [event["type"] for event in events[-1:]] == ["speech.audio.done"]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == plain


def test_transcriptions_come_in_every_form(client, wav):
    def ask(form):
        return client.audio.transcriptions.create(
            model=NAME, file=("noise.wav", wav), response_format=form
        )

    verbose = ask("verbose_json")
    assert verbose.duration == pytest.approx(1.5)
    assert verbose.segments[0].end == pytest.approx(1.5)
    assert ask("json").text == verbose.text
    assert ask("srt").startswith("1\n00:00:00,000 --> 00:00:01,500\n")
    assert ask("vtt").startswith("WEBVTT")


def test_a_streamed_transcript_ends_with_the_whole_text(client, wav):
    events = list(
        client.audio.transcriptions.create(model=NAME, file=("noise.wav", wav), stream=True)
    )
    assert events[-1].type == "transcript.text.done"
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


def test_pictures_are_painted_in_the_asked_size(client):
    pil = pytest.importorskip("PIL.Image")
    options = {"model": NAME, "prompt": "a cat", "size": "96x64"}
    made = client.images.generate(**options, n=2, extra_body={"num_inference_steps": 1, "seed": 5})
    sizes = [pil.open(io.BytesIO(base64.b64decode(one.b64_json))).size for one in made.data]
    assert sizes == [(96, 64), (96, 64)]
    assert [one.seed for one in made.data] == [5, 6]


def test_edits_keep_the_size_and_take_both_field_names(client, address, png):
    httpx, pil = pytest.importorskip("httpx"), pytest.importorskip("PIL.Image")
    data = {"prompt": "make it blue", "num_inference_steps": "1", "seed": "1"}
    made = [
        httpx.post(f"{address}/v1/images/edits", data=data, files={name: png}, timeout=60).json()
        for name in ("image", "image[]")
    ]
    pictures = [base64.b64decode(one["data"][0]["b64_json"]) for one in made]
    assert pil.open(io.BytesIO(pictures[0])).size == (64, 48)
    assert pictures[0] == pictures[1]
    edited = client.images.edit(
        model=NAME,
        image=png,
        prompt="make it blue",
        extra_body={"num_inference_steps": 1, "seed": 1},
    )
    assert base64.b64decode(edited.data[0].b64_json) == pictures[0]


def test_a_segmentation_tells_mask_and_run_lengths(address, png):
    httpx, pil = pytest.importorskip("httpx"), pytest.importorskip("PIL.Image")
    data = {"prompt": "the cat", "num_inference_steps": "1", "seed": "1"}
    url = f"{address}/v1/images/segmentations"
    found = httpx.post(url, data=data, files={"image": png}, timeout=60).json()["data"][0]
    mask = np.asarray(pil.open(io.BytesIO(base64.b64decode(found["mask"]))))
    assert mask.shape == (48, 64)
    assert (mask > 127).sum() == found["area"]
    assert found["rle"]["size"] == [48, 64]


def test_a_response_and_its_stream_agree(client):
    options = {"model": NAME, "input": "hi", "max_output_tokens": 6}
    whole = client.responses.create(**options)
    assert whole.status == "incomplete"
    assert whole.usage.output_tokens == 6
    events = list(client.responses.create(**options, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == whole.output_text
    assert client.responses.retrieve(whole.id).output_text == whole.output_text


def test_a_response_goes_on_from_an_earlier_one(client):
    first = client.responses.create(model=NAME, input="hi", max_output_tokens=2)
    second = client.responses.create(
        model=NAME, input="and?", previous_response_id=first.id, max_output_tokens=2
    )
    assert second.usage.input_tokens > first.usage.input_tokens + 2
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=NAME, input="hi", previous_response_id="resp_none")


def test_wave_header_and_length_agree(client):
    options = {"model": NAME, "input": "Hi", "voice": "default", "response_format": "wav"}
    said = client.audio.speech.create(**options)
    with wave.open(io.BytesIO(said.content)) as file:
        assert file.getnframes() * 2 == len(said.content) - 44


def test_the_figures_tell_which_experts_each_modality_uses(client, address, png, wav):
    httpx = pytest.importorskip("httpx")
    messages = [{"role": "user", "content": media(png, wav)}]
    client.chat.completions.create(model=NAME, messages=messages, max_tokens=2)
    page = httpx.get(f"{address}/metrics").text
    for modality in ("text", "image", "audio"):
        label = f'mingle_expert_tokens_total{{expert="0",modality="{modality}"}}'
        assert label in page
