"""A run's folder: one process at a time, its recipe, its logs (JSON lines, TensorBoard)."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mingle import typed
from mingle.errors import CapacityError, ConfigError
from mingle.training.recipe import Recipe

log = logging.getLogger(__name__)
FIXED = ("task", "model", "seed", "start")  # what a run cannot change its mind about


class RunFolder:
    """Owns a folder while it is open. Raises ConfigError when another process owns it.

    Of several ranks only the `first` owns and writes; the others look on.
    """

    def __init__(self, path: Path, *, first: bool):
        self.path, self.first = path, first
        self.checkpoints = path / "checkpoints"
        self._board: Any = None

    def __enter__(self) -> "RunFolder":
        if not self.first:
            return self
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not inherited by workers
        except (BlockingIOError, PermissionError) as error:
            owner = os.read(self._lock, 20).decode() or "unknown"
            os.close(self._lock)
            raise ConfigError(
                f"{self.path} is in use by process {owner}; wait for it, or name another --run"
            ) from error
        os.ftruncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        return self

    def __exit__(self, *error: object) -> None:
        try:
            with self._written():
                if self._board is not None:
                    self._board.close()
        finally:
            if self.first:
                os.close(self._lock)

    def remember(self, recipe: Recipe) -> None:
        """Store the recipe; refuse to go on with another task, model or seed."""
        if not self.first:
            return
        path = self.path / "recipe.yaml"
        now = typed.plain(recipe)
        if path.exists() and any(self.checkpoints.glob("step-*")):  # else nothing was begun
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
            changed = [key for key in now if key in before and now[key] != before[key]]
            for key in FIXED:
                if key in changed:
                    raise ConfigError(
                        f"{self.path} was begun with {key} = {before.get(key)}, now it is "
                        f"{now[key]}; name another --run for another model"
                    )
            if changed:
                log.warning("the recipe has changed since %s began: %s", self.path, changed)
        fresh = path.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(now, sort_keys=False, allow_unicode=True))
        fresh.replace(path)

    def rewind(self, step: int) -> None:
        """Forget log records after `step`: the run goes on from there."""
        if not self.first:
            return
        path = self.path / "log.jsonl"
        kept = [r for r in read_log(self.path) if r["step"] <= step]
        if path.exists():
            fresh = path.with_suffix(".new")
            fresh.write_text("".join(json.dumps(record) + "\n" for record in kept))
            fresh.replace(path)
        self._board = _board(self.path / "tensorboard", step)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one record; it has a `step`, numbers, and dicts of numbers."""
        if not self.first:
            return
        with self._written():
            with open(self.path / "log.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            if self._board is not None:
                for name, value in flat(record).items():
                    self._board.add_scalar(name, value, record["step"])

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CapacityError(
                f"the log in {self.path} cannot be written ({error.strerror or error}); "
                f"checkpoints are kept. Free some space and start the same command again"
            ) from error


def read_log(run: Path) -> list[dict[str, Any]]:
    """The records of a run, oldest first; a half-written last line (kill -9) is left out."""
    path = run / "log.jsonl"
    if not path.exists():
        return []
    records: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            log.warning("a broken line in %s is left out", path)
    return records


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a record by path: {"losses": {"text": 2.0}} -> {"losses/text": 2.0}."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}/"))
        elif isinstance(value, int | float) and key != "step":
            found[f"{prefix}{key}"] = value
    return found


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("no TensorBoard log: the package 'tensorboard' is not installed")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1, flush_secs=30)
