"""`mingle verify`: its JSON, its table, its exit codes, and cases that are broken."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingle.cli import main

CASE = Path(__file__).parents[1] / "golden" / "audio"


@pytest.fixture
def tree(tmp_path):
    shutil.copytree(CASE, tmp_path / "good" / "audio")
    return tmp_path


def test_json_has_exactly_the_promised_keys(tree, capsys):
    assert main(["verify", str(tree), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {key: summary[key] for key in ("passed", "failed", "unknown")} == {
        "passed": 1,
        "failed": 0,
        "unknown": 0,
    }
    (case,) = summary["cases"]
    assert (case["name"], case["kind"], case["passed"]) == ("good/audio", "audio", True)
    assert case.keys() == {"name", "kind", "passed", "checks"}
    assert {tuple(sorted(check)) for check in case["checks"]} == {
        ("max_abs_diff", "name", "passed", "tolerance")
    }


def test_table_names_case_tensor_difference_tolerance_and_verdict(tree, capsys):
    assert main(["verify", str(tree / "good" / "audio")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["case", "tensor", "greatest", "difference", "tolerance", "verdict"]
    row = next(line.split() for line in lines if "single_row.normalized" in line)
    assert row[0] == "audio"
    assert float(row[2]) <= float(row[3]) == pytest.approx(2e-5)
    assert row[4] == "ok"


def test_an_unknown_kind_is_counted_and_exits_with_1(tree, capsys):
    (tree / "strange").mkdir()
    (tree / "strange" / "case.json").write_text('{"kind": "telepathy"}')
    assert main(["verify", str(tree), "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["passed"], summary["failed"], summary["unknown"]) == (1, 0, 1)


@pytest.mark.parametrize("broken", ["config.json", "outputs.safetensors", "case.json"])
def test_a_broken_case_fails_alone(tree, capsys, broken):
    case = Path(shutil.copytree(CASE, tree / "broken"))
    (case / broken).write_bytes((case / broken).read_bytes()[:40])
    assert main(["verify", str(tree), "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["passed"], summary["failed"], summary["unknown"]) == (1, 1, 0)


def test_a_stored_tensor_that_nothing_computes_fails(tree, capsys):
    outputs = tree / "good" / "audio" / "outputs.safetensors"
    outputs.chmod(0o644)
    tensors = load_file(outputs)
    save_file(tensors | {"single_row.aura": torch.zeros(2)}, outputs)
    assert main(["verify", str(tree), "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["cases"][0]["checks"]
    assert [check["name"] for check in checks if not check["passed"]] == [
        "single_row.aura: stored, but nothing here computes it"
    ]


def test_a_folder_without_cases_is_the_users_error(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "no case.json" in capsys.readouterr().err
