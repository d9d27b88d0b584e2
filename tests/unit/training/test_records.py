"""Records and manifests: layouts, mixtures, quarantine, order, resume."""

import itertools
import json

import pytest

from mingle.errors import ConfigError, InputError
from mingle.messages import Audio, Image, Text
from mingle.training.manifests import BLOCK, Manifest, Mixture, Quarantine, Source, usable
from mingle.training.records import Record, parse
from mingle.training.streams import Draw


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def talk(text, answer="yes", **media):
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **media}


def read(raw, tmp_path, layout="messages"):
    return parse(raw, layout=layout, media=tmp_path, name="x:1").messages


def test_marks_take_the_paths_in_order(tmp_path):
    for name in ("a.png", "b.png", "c.wav"):
        (tmp_path / name).touch()
    raw = talk("<image>and<image>, then <audio>", images=["a.png", "b.png"], audios=["c.wav"])
    assert read(raw, tmp_path)[0].parts == (
        Image(source=tmp_path / "a.png"),
        Text(text="and"),
        Image(source=tmp_path / "b.png"),
        Text(text=", then "),
        Audio(source=tmp_path / "c.wav"),
    )


def test_media_in_the_answer_are_what_is_to_be_made(tmp_path):
    (tmp_path / "cat.png").touch()
    raw = talk("paint a cat", "<image>", images=["cat.png"])
    assert read(raw, tmp_path)[1].parts == (Image(source=tmp_path / "cat.png"),)


def test_sharegpt_and_llava_become_the_same_messages(tmp_path):
    (tmp_path / "a.png").touch()
    own = read(talk("<image>What is it?", "a cat", images=["a.png"]), tmp_path)
    turns = [{"from": "human", "value": "<image>What is it?"}, {"from": "gpt", "value": "a cat"}]
    assert read({"conversations": turns, "images": ["a.png"]}, tmp_path, "sharegpt") == own
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "a cat"}]
    assert read({"id": 7, "image": "a.png", "conversations": turns}, tmp_path, "llava") == own


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (talk("<image>?"), "more <image> than the record has images"),
        (talk("?", images=["a.png"]), "1 of the images have no mark in the text: a.png"),
        (talk("<image>?", images=["gone.png"]), "image .*gone.png is missing"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "an answer last"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "unknown role 'robot'"),
        ({"text": "hi"}, "'messages' is NoneType, expected a list"),
        (["hi"], "found list, expected an object"),
    ],
)
def test_broken_records_say_why(tmp_path, raw, reason):
    with pytest.raises(InputError, match=reason):
        read(raw, tmp_path)


def test_json_array_and_json_lines_hold_the_same_records(tmp_path):
    records = [talk(str(i)) for i in range(3)]
    lines = Manifest(Source(manifest=write(tmp_path / "a.jsonl", records), weight=1.0))
    (tmp_path / "b.json").write_text(json.dumps(records, indent=1))
    array = Manifest(Source(manifest=tmp_path / "b.json", weight=1.0))
    assert [lines.read(i).messages for i in range(3)] == [array.read(i).messages for i in range(3)]


def mixture(tmp_path, seed=0):
    many = write(tmp_path / "many.jsonl", [talk(f"many {i}") for i in range(700)])
    few = write(tmp_path / "few.jsonl", [talk(f"few {i}") for i in range(7)])
    return Mixture([Source(manifest=many, weight=3.0), Source(manifest=few, weight=1.0)], seed)


def test_weights_hold_in_every_block_and_every_record_comes_once_an_epoch(tmp_path):
    mixed = mixture(tmp_path)
    picks = [mixed.at(i) for i in range(BLOCK)]
    few = [number for manifest, number in picks if len(manifest) == 7]
    assert len(few) == BLOCK // 4
    assert all(sorted(few[i : i + 7]) == list(range(7)) for i in range(0, 245, 7))
    many = [number for manifest, number in picks if len(manifest) == 700]
    assert sorted(many[:700]) == list(range(700))
    assert few[:7] != few[7:14]


def test_order_depends_on_the_seed_alone(tmp_path):
    one, again = mixture(tmp_path), mixture(tmp_path)
    other = mixture(tmp_path, seed=1)
    order = [one.at(i)[1] for i in range(50)]
    assert [again.at(i)[1] for i in reversed(range(50))] == order[::-1]
    assert [other.at(i)[1] for i in range(50)] != order


def text_of(record: Record) -> str:
    return record.messages[0].parts[0].text


def test_ranks_and_workers_share_the_order(tmp_path):
    mixed = mixture(tmp_path)
    alone = usable(mixed, text_of, Quarantine(None, 0.0), Draw(seed=0))
    expected = [next(alone) for _ in range(8)]
    first = usable(mixed, text_of, Quarantine(None, 0.0), Draw(seed=0, ranks=2, workers=1))
    second = usable(mixed, text_of, Quarantine(None, 0.0), Draw(seed=0, rank=1, ranks=2))
    assert [next(x) for _ in range(4) for x in (first, second)] == expected


def test_bad_records_go_to_quarantine_with_their_reason(tmp_path, caplog):
    path = write(tmp_path / "a.jsonl", [talk(str(i)) for i in range(20)])
    path.write_text(path.read_text() + "{broken\n" + json.dumps(talk("<image>")) + "\n")
    mixed = Mixture([Source(manifest=path, weight=1.0)], 0)
    held = Quarantine(tmp_path / "quarantine.jsonl", 0.2)
    stream = usable(mixed, text_of, held, Draw(seed=0))
    texts = {next(stream)[1] for _ in range(60)}  # three epochs
    assert len(texts) == 20
    reasons = [json.loads(line) for line in held.path.read_text().splitlines()]
    assert {record["record"] for record in reasons} == {f"{path}:21", f"{path}:22"}
    assert "broken JSON" in str(reasons)
    assert len(reasons) == len(caplog.messages) == 2  # each is told once
    assert held.bad >= 4


def test_too_many_bad_records_end_the_run(tmp_path):
    path = write(tmp_path / "a.jsonl", [talk("<image>"), talk("fine")])
    stream = usable(
        Mixture([Source(manifest=path, weight=1.0)], 0),
        text_of,
        Quarantine(None, 0.1),
        Draw(seed=0),
    )
    with pytest.raises(InputError, match=r"11 of \d+ records cannot be used"):
        list(itertools.islice(stream, 100))


@pytest.mark.parametrize("content", ["", "[1, 2"])
def test_empty_or_broken_manifest_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"a\.json"):
        Manifest(Source(manifest=path, weight=1.0))
