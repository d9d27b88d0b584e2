"""mingle pull and mingle models: what they print, what they return, what they refuse."""

import json
from pathlib import Path

import pytest
from miniature import write_miniature, write_preview

from mingle.checkpoints import store
from mingle.checkpoints.load import open_model
from mingle.checkpoints.pull import SCRATCH
from mingle.cli import main
from mingle.errors import CheckpointError

NAME = "ming-flash-omni-2.0"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to pull from; the store is empty."""
    monkeypatch.setenv("MINGLE_HOME", str(tmp_path / "home"))
    return write_miniature(tmp_path / "source", ("audio",))


def state(capsys: pytest.CaptureFixture[str], name: str = NAME) -> dict:
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    return next(model for model in models if model["name"] == name)


def test_home_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINGLE_HOME", "/somewhere")
    assert store.folder_of(NAME) == Path("/somewhere/models") / NAME
    monkeypatch.delenv("MINGLE_HOME")
    assert store.home() == Path.home() / ".cache" / "mingle"


def test_pull_from_a_folder_makes_the_model_known(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert state(capsys)["state"] == "not here"
    assert main(["pull", NAME, "--from", str(source), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["folder"] == str(store.folder_of(NAME))
    assert "config.json" in report["fetched"]
    found = state(capsys)
    assert found["state"] == "here"
    assert found["parts_here"] == ["thinker", "vision", "audio"]
    assert found["bytes"] > report["bytes"]  # the record lies there too


def test_dry_run_writes_nothing(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", NAME, "--from", str(source), "--dry-run", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fetched"] == []
    assert report["missing_bytes"] == report["bytes"] > 0
    assert not store.home().exists()


def test_unfinished_pull_is_called_incomplete(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pull", NAME, "--from", str(source)])
    (store.folder_of(NAME) / SCRATCH).mkdir()
    assert state(capsys)["state"] == "incomplete"


def test_folder_to_fill_can_be_named(source: Path, tmp_path: Path) -> None:
    assert main(["pull", NAME, "--from", str(source), "--to", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "config.json").read_bytes() == (source / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["no-such-model"], 2, "neither a folder nor the name of a model"),
        ([NAME, "--from", "nowhere"], 2, "neither a hub (huggingface, modelscope) nor a folder"),
        ([NAME, "--parts", "ears"], 2, "has no part 'ears'; its parts: thinker, vision"),
        (["nano", "--parts", "thinker"], 2, "comes from pinned packages"),
    ],
)
@pytest.mark.usefixtures("source")
def test_what_cannot_be_pulled_is_one_line(
    words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", *words]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert len(said.err.splitlines()) == 1


def test_without_network_the_exit_code_is_3(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert main(["pull", NAME]) == 3
    said = capsys.readouterr().err
    assert said.startswith("mingle pull: Hugging Face cannot be reached")
    assert len(said.splitlines()) == 1
    assert not store.home().exists()


def test_full_disk_is_exit_code_3(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "free_bytes", lambda _: 0)
    assert main(["pull", NAME, "--from", str(source)]) == 3
    assert "make room, or set MINGLE_HOME" in capsys.readouterr().err
    assert not store.home().exists()


def test_models_are_told_in_plain_words(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert f"not here: mingle pull {NAME}" in said
    assert "nano" in said


def test_tokenizer_that_is_lacking_can_be_pulled_alone(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview = write_preview(tmp_path / "preview")
    (source / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"mingle pull ming-flash-omni-preview --parts proc"):
        open_model(source).processor()
    words = ["pull", "ming-flash-omni-preview", "--from", str(preview), "--parts", "processor"]
    assert main(words) == 0
    lender = store.folder_of("ming-flash-omni-preview")
    assert not list(lender.glob("*.safetensors"))
    assert state(capsys, lender.name)["state"] == "incomplete"
    assert open_model(source).processor().stop_ids == (260,)
    assert main(["pull", NAME, "--from", str(source)]) == 0
    assert f"lacks tokenizer.json: taken from {lender}" in capsys.readouterr().err
    assert (store.folder_of(NAME) / "tokenizer.json").is_file()
