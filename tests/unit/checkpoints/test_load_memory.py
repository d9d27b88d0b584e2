"""While a model loads, memory holds at most the model and one shard; one too large is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mingle.checkpoints.memory import available_memory, check_memory
from mingle.checkpoints.shards import TensorInfo
from mingle.errors import CapacityError

SHARDS = 8
SHARD_BYTES = 16 << 20
SLACK_BYTES = 6 << 20  # the allocator's and the interpreter's own; a quarter of model + shard: 36

CHILD = """
import json, resource, sys
import torch
from pathlib import Path
from torch import nn
from mingle.checkpoints.mapping import Stack
from mingle.checkpoints.shards import open_tensors
from mingle.checkpoints.streaming import Consumer, Reading, build_on_meta, fill
from mingle.checkpoints.table import Table

class Experts(nn.Module):
    def __init__(self, shards, rows):
        super().__init__()
        self.stacked = nn.Parameter(torch.empty(shards * 4, rows, 256))

folder, shards, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
def peak():
    return int(next(line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line)) << 10
module = build_on_meta(lambda: Experts(shards, rows))
table = Table([Stack("experts.{e}.weight", "stacked", count=shards * 4)])
consumer = Consumer(part="experts", table=table, module=module)
# the first touch of code paths costs memory that is not the model's
torch.empty(4).copy_(torch.zeros(4)); before = peak()
reading = Reading(folder="", stem="model", files=open_tensors(folder, "model"),
                  consumers=(("", consumer),))
report = fill([reading], dtype=None, device=torch.device("cpu"))
print(json.dumps({"grown": peak() - before, "model": report.num_bytes,
                  "last": module.stacked[-1, 0, 0].item()}))
"""


def test_peak_is_the_model_and_one_shard(tmp_path: Path) -> None:
    rows = SHARD_BYTES // 4 // 256 // 4  # four experts a shard, float32
    shard_of = {}
    for number in range(SHARDS):
        file = f"model-{number}.safetensors"
        names = [f"experts.{4 * number + e}.weight" for e in range(4)]
        tensors = {name: torch.full((rows, 256), float(number)) for name in names}
        save_file(tensors, tmp_path / file)
        shard_of |= dict.fromkeys(names, file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shard_of}))
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(SHARDS), str(rows)]
    seen = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert seen["model"] == SHARDS * SHARD_BYTES
    assert seen["last"] == SHARDS - 1
    assert seen["grown"] <= seen["model"] + SHARD_BYTES + SLACK_BYTES


def test_a_model_larger_than_the_memory_is_refused_before_it_is_read():
    info = TensorInfo(file=Path("x"), dtype=torch.bfloat16, shape=(10**9,), num_bytes=2 * 10**9)
    check_memory([info], None, available=2 * 10**9)
    check_memory([info], torch.float32, available=None)
    with pytest.raises(CapacityError, match=r"takes 4.0 GB of memory, but only 2.0 GB") as raised:
        check_memory([info], torch.float32, available=2 * 10**9)
    assert raised.value.exit_code == 3
    found = available_memory()
    assert found is not None or sys.platform != "linux"
    assert found is None or 2**24 < found < 2**50  # bytes, not kilobytes and not pages
