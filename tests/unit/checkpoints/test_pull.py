"""Pulling fetches what is needed, goes on where it stopped, and trusts nothing unhashed."""

import resource
from pathlib import Path

import pytest
from fake_hub import FakeHub
from miniature import write_miniature
from miniature.words import write_tokenizer

from mingle.checkpoints import store
from mingle.checkpoints.flash_omni_2 import FAMILY, TOKENIZER
from mingle.checkpoints.load import open_model
from mingle.checkpoints.pull import (
    RECORD,
    SCRATCH,
    Origin,
    Plan,
    plan_pull,
    read_record,
    run_pull,
)
from mingle.errors import CapacityError, CheckpointError, InputError


@pytest.fixture
def hub(tmp_path: Path) -> FakeHub:
    """A repository without the tokenizer, as the released one, and one that lends it."""
    root = tmp_path / "hub"
    model = write_miniature(root / "two", ("audio", "talker"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (model / name).unlink()
    (model / "modeling.py").write_text("raise SystemExit('remote code was run')")
    (model / "figures").mkdir()
    (model / "figures" / "big.png").write_bytes(bytes(1000))
    write_tokenizer(root / "preview")
    (root / "preview" / "config.json").write_text("{}")
    return FakeHub(root)


def plan_for(hub: FakeHub, target: Path, parts: tuple[str, ...] | None = None) -> Plan:
    lenders = {"ming-flash-omni-preview": "preview"}
    return plan_pull(FAMILY, target, Origin(hub=hub, repository="two", lenders=lenders), parts)


def paths(plan: Plan) -> set[str]:
    return {wanted.file.path for wanted in plan.files}


def test_only_the_files_of_the_parts_are_chosen(hub: FakeHub, tmp_path: Path) -> None:
    everything, audio = (plan_for(hub, tmp_path / "to", parts) for parts in (None, ("audio",)))
    assert "talker/model.safetensors.index.json" in paths(everything)
    assert not any(path.startswith("talker") for path in paths(audio))
    for plan in (everything, audio):
        assert {"config.json", "model.safetensors.index.json", "tokenizer.json"} <= paths(plan)
        assert not {"modeling.py", "figures/big.png"} & paths(plan)


def test_lacking_tokenizer_is_borrowed_and_said_once(hub: FakeHub, tmp_path: Path) -> None:
    plan = plan_for(hub, tmp_path / "to")
    assert plan.remarks == ("two lacks tokenizer.json, tokenizer_config.json: taken from preview",)
    run_pull(plan, tmp_path / "to", hub)
    record = read_record(tmp_path / "to")
    assert record is not None
    assert record["files"]["tokenizer.json"]["repository"] == "preview"
    assert record["files"]["config.json"]["repository"] == "two"


def test_pulled_model_loads(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    run_pull(plan_for(hub, target), target, hub)
    modules, _ = open_model(target).load_modules(("audio", "talker"))
    assert set(modules) == {"audio", "talker"}
    assert not (target / SCRATCH).exists()


def test_record_pins_revision_and_hash_of_every_file(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    plan = plan_for(hub, target)
    run_pull(plan, target, hub)
    record = read_record(target)
    assert record is not None
    assert set(record["files"]) == paths(plan)
    for entry in record["files"].values():
        assert entry["revision"] == "c0ffee"
        assert entry["digest"].partition(":")[0] in {"sha256", "git"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_interrupted_pull_fetches_no_byte_twice(hub: FakeHub, tmp_path: Path, share: float) -> None:
    target = tmp_path / "to"
    plan = plan_for(hub, target)
    hub.breaks_after = int(share * plan.missing_bytes)
    with pytest.raises(CapacityError, match="cannot be reached"):
        run_pull(plan, target, hub)
    assert not (target / RECORD).exists()
    hub.breaks_after = None
    seen: list[int] = []
    again = plan_for(hub, target)
    run_pull(again, target, hub, seen.append)
    assert hub.served == plan.missing_bytes
    assert sum(seen) == again.missing_bytes
    open_model(target).load_modules(("audio",))


def test_no_file_stands_in_place_before_it_is_whole(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    plan = plan_for(hub, target)
    hub.breaks_after = plan.missing_bytes // 2
    with pytest.raises(CapacityError):
        run_pull(plan, target, hub)
    sizes = {wanted.file.path: wanted.file.num_bytes for wanted in plan.files}
    for file in target.rglob("*"):
        if file.is_file() and SCRATCH not in file.parts:
            assert file.stat().st_size == sizes[file.relative_to(target).as_posix()]


def test_hash_that_differs_is_thrown_away(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    hub.digests["talker/model-00001-of-00002.safetensors"] = "sha256:" + "0" * 64
    plan = plan_for(hub, target)
    with pytest.raises(CheckpointError, match=r"talker/model-00001\S+ .* expected 000000000000"):
        run_pull(plan, target, hub)
    assert not (target / "talker" / "model-00001-of-00002.safetensors").exists()
    assert not list((target / SCRATCH).glob("talker--model*"))


def test_second_pull_fetches_nothing(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    run_pull(plan_for(hub, target), target, hub)
    served = hub.served
    plan = plan_for(hub, target)
    assert plan.missing == ()
    run_pull(plan, target, hub)
    assert hub.served == served


def test_full_disk_is_noticed_before_the_first_byte(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "to"
    monkeypatch.setattr(store, "free_bytes", lambda _: store.SPARE_BYTES + 1000)
    with pytest.raises(CapacityError, match=r"only 1\.0 kB|only .* are free there") as caught:
        run_pull(plan_for(hub, target), target, hub)
    assert caught.value.exit_code == 3
    assert hub.served == 0
    assert not target.exists()


def test_disk_that_fills_up_half_way_is_told_in_one_line(hub: FakeHub, tmp_path: Path) -> None:
    target = tmp_path / "to"
    plan = plan_for(hub, target)
    largest = max(wanted.file.num_bytes for wanted in plan.files)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, hard))  # bytes a file may have
    try:
        with pytest.raises(CapacityError, match="cannot be written: File too large; when that is"):
            run_pull(plan, target, hub)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run_pull(plan_for(hub, target), target, hub)
    open_model(target).load_modules(("audio", "talker"))


def test_repository_of_something_else_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"figures holds no config\.json"):
        plan_pull(FAMILY, tmp_path / "to", Origin(hub=hub, repository="two/figures"))


def test_tokenizer_names_are_those_the_other_repository_has() -> None:
    assert set(FAMILY.borrowed["ming-flash-omni-preview"]) == set(TOKENIZER)
