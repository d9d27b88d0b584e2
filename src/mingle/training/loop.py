"""The training loop: stages of steps, logs, checkpoints; goes on exactly where it stopped."""

import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recomputed
from tqdm import tqdm

from mingle import typed
from mingle.checkpoints.device import usable_device
from mingle.errors import ConfigError, TrainingError
from mingle.training import checkpoint, lora, parallel, ranks, speed, start
from mingle.training.balance import Balancer
from mingle.training.learner import Learner, set_modes
from mingle.training.names import matching, modules_matching
from mingle.training.recipe import Recipe, Stage
from mingle.training.run_folder import RunFolder
from mingle.training.streams import Batch, Draw, seed_of, shared
from mingle.training.tally import line_of, means_of, nested, totals_of
from mingle.training.task import Outcome, Pass, Task
from mingle.training.tasks import TASKS

log = logging.getLogger(__name__)
STEP, DATA = 1, 2  # keep the seeds of steps and of data apart


@dataclass
class Progress:
    """Where a run stands: everything that is not a tensor. Saved with every checkpoint."""

    stage: int = 0
    step: int = 0
    total_steps: int = 0
    samples: int = 0
    tokens: int = 0
    seconds: float = 0.0
    position: Any = None
    since_log: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How long this call may train, and whether a progress line is drawn on stderr."""

    minutes: float | None = None
    quiet: bool = False
    clock: Callable[[], float] = time.monotonic


def train(recipe: Recipe, folder: Path, options: Options) -> Progress:
    """Run the recipe in the folder, or go on with what the folder holds.

    Raises ConfigError for a wrong recipe or a folder in use, TrainingError when the loss is no
    longer a number, CapacityError when the disk is full or the device is not here.
    """
    torch.set_num_threads(recipe.threads)
    usable_device(recipe.device)
    with ranks.joined(recipe.device), RunFolder(folder, first=ranks.rank() == 0) as run:
        run.remember(recipe)
        task = build(recipe, folder)
        return Loop(recipe, task, run, options).run()


def build(recipe: Recipe, run: Path | None = None) -> Task:
    """The recipe's task with the weights that it begins with, in this run's folder if there is one.

    Those of the run's checkpoints are not loaded yet.
    """
    if recipe.task not in TASKS:
        raise ConfigError("task: " + typed.unknown_key(recipe.task, TASKS, "recipe"))
    kind = TASKS[recipe.task]
    torch.manual_seed(recipe.seed)
    task = kind(typed.read(kind.Model, recipe.model, "model"))
    start.begin(task.model, recipe.starts, run)
    if recipe.lora is not None:
        lora.attach(task.model, recipe.lora)
        if recipe.lora.start is not None:
            lora.load(task.model, task.rules(), recipe.lora, recipe.lora.start)
    return task


class Loop:
    """One run of one recipe; `run()` returns when it is finished, out of time, or told to stop."""

    def __init__(self, recipe: Recipe, task: Task, run: RunFolder, options: Options):
        self.recipe, self.task, self.folder, self.options = recipe, task, run, options
        self.data = [
            typed.read(task.Data, stage.data, f"stages.{stage.name}.data")
            for stage in recipe.stages
        ]
        self.progress = Progress()
        self.generator = torch.Generator(recipe.device)
        task.model.to(recipe.device)
        self.forward = Pass(task)
        self.layout = parallel.split(self.forward, task.model, recipe.parallel, recipe.device)
        self.stopping = False
        self.flops_per_step = 0
        self.sgemm = speed.sgemm_rate()

    def run(self) -> Progress:
        """Train until done, until the time is up, or until SIGTERM or SIGINT."""
        self.saved_at = self.ticked_at = self.options.clock()
        found = self._find()
        total = sum(stage.steps for stage in self.recipe.stages)
        bar = tqdm(
            total=total,
            initial=self.progress.total_steps,
            disable=self.options.quiet or ranks.rank() > 0,
            file=sys.stderr,
            unit="step",
        )
        with bar, self._listening():
            while self.progress.stage < len(self.recipe.stages) and not self.stopping:
                self._stage(found, bar)
                found = None
        return self.progress

    def _stage(self, found: Path | None, bar: "tqdm[Any]") -> None:
        progress, stage = self.progress, self.recipe.stages[self.progress.stage]
        learner = Learner(self.task.model, stage, self.layout)
        self.balancer = Balancer(self.task.model, stage.balance) if stage.balance else None
        self._load(found, learner)
        undo = _recompute(self.task.model, stage)
        stream = self._stream()
        self.flops_per_step = 0
        while progress.step < stage.steps and not self.stopping:
            self._step(learner, stream)
            bar.update()
            self._report(learner, bar)
            self._save_or_stop(learner)
        undo()
        if progress.step == stage.steps:
            learner.take(learner.average)
            progress.stage, progress.step, progress.position = progress.stage + 1, 0, None
            self._save(None)

    def _stream(self) -> Iterator[Batch]:
        index = self.progress.stage
        draw = Draw(
            seed=seed_of(self.recipe.seed, DATA, index),
            position=shared(self.progress.position, ranks.rank(), ranks.size()),
            rank=ranks.rank(),
            ranks=ranks.size(),
            workers=self.recipe.workers,
        )
        return self.task.batches(self.data[index], draw)

    def _step(self, learner: Learner, stream: Iterator[Batch]) -> None:
        progress, stage = self.progress, learner.stage
        drawn = [next(stream) for _ in range(stage.accumulate)]
        batches = [replace(one, data=self.task.here(one.data)) for one in drawn]
        totals = totals_of(batches, stage.losses)
        if not self.flops_per_step:
            self._measure(stage, batches, totals)
        outcomes = self._gradients(stage, batches, totals)
        norm = learner.step(progress.step)
        if not math.isfinite(norm):
            raise _not_a_number("the gradient norm", norm, progress, batches)
        if self.balancer:
            self.balancer.step()
        values = means_of(outcomes, batches, totals)
        values["loss"] = sum(stage.losses[name] * values[f"losses/{name}"] for name in totals)
        self._count(batches, {**values, "gradient_norm": norm})

    def _gradients(
        self, stage: Stage, batches: Sequence[Batch], totals: Mapping[str, float]
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for micro, batch in enumerate(batches):
            number = micro * ranks.size() + ranks.rank()
            place = (self.progress.stage, self.progress.step, number)
            seed = seed_of(self.recipe.seed, STEP, *place)
            torch.manual_seed(seed)
            self.generator.manual_seed(seed)
            outcome = self.forward(batch, self.generator)
            _check_names(outcome.losses, stage)
            weighed = [
                loss * (stage.losses[name] * batch.counts.get(name, 1) / (totals[name] or 1))
                for name, loss in outcome.losses.items()
            ]
            if self.balancer:
                auxiliary = self.balancer.loss(outcome.routings, outcome.lengths)
                weighed.append(auxiliary / (stage.accumulate * ranks.size()))
            loss = torch.stack(weighed).sum()
            if not torch.isfinite(loss):
                raise _not_a_number("the loss", float(loss.detach()), self.progress, [batch])
            loss.backward()
            outcomes.append(_detached(outcome))
        return outcomes

    def _measure(self, stage: Stage, batches: Sequence[Batch], totals: Mapping[str, float]) -> None:
        """Count a step's FLOPs in a pass of its own: counting changes the last bits of results."""
        buffers = dict(self.task.model.named_buffers())
        before = {name: buffer.clone() for name, buffer in buffers.items()}
        _, flops = speed.counted(lambda: self._gradients(stage, batches, totals))
        self.flops_per_step = max(flops, 1)
        self.task.model.zero_grad(set_to_none=True)
        if self.balancer:
            self.balancer.forget()
        with torch.no_grad():
            for name, buffer in buffers.items():
                buffer.copy_(before[name])

    def _count(self, batches: Sequence[Batch], values: Mapping[str, float]) -> None:
        progress, now = self.progress, self.options.clock()
        progress.step += 1
        progress.total_steps += 1
        progress.seconds += now - self.ticked_at
        self.position = batches[-1].position
        amounts = ranks.add_up(
            {
                "samples": float(sum(batch.samples for batch in batches)),
                "tokens": float(sum(batch.tokens for batch in batches)),
            }
        )
        progress.samples += int(amounts["samples"])
        progress.tokens += int(amounts["tokens"])
        held = progress.since_log
        times = {"steps": 1.0, "seconds": now - self.ticked_at, "tokens": amounts["tokens"]}
        for name, value in {**values, **times}.items():
            held[name] = held.get(name, 0.0) + value
        self.ticked_at = now

    def _report(self, learner: Learner, bar: "tqdm[Any]") -> None:
        progress, stage = self.progress, learner.stage
        last = progress.step == stage.steps
        if progress.step % self.recipe.log_every == 0 or last:
            record = self._record(learner)
            self.folder.log(record)
            bar.set_postfix_str(line_of(record))
        every = self.recipe.evaluate_every
        if every is not None and (progress.step % every == 0 or last):
            self._evaluate(learner)

    def _record(self, learner: Learner) -> dict[str, Any]:
        held, self.progress.since_log = self.progress.since_log, {}
        steps, seconds, tokens = held.pop("steps"), held.pop("seconds"), held.pop("tokens")
        flops = self.flops_per_step * steps / max(seconds, 1e-9)
        return {
            "step": self.progress.total_steps,
            "stage": learner.stage.name,
            **nested({name: value / steps for name, value in held.items()}),
            **({"balance": nested(self.balancer.figures())} if self.balancer else {}),
            "learning_rate": learner.rate,
            "samples": self.progress.samples,
            "tokens": self.progress.tokens,
            "seconds": round(self.progress.seconds, 3),
            "speed": {
                "tokens_per_s": tokens / max(seconds, 1e-9),
                "gflops": flops / 1e9,
                "share_of_sgemm": flops / self.sgemm,
            },
        }

    def _evaluate(self, learner: Learner) -> None:
        folder = self.folder.path / "samples" / f"step-{self.progress.total_steps:08d}"
        set_modes(self.task.model, training=False)
        with torch.no_grad(), learner.averaged():
            figures = self.task.evaluate(self.data[self.progress.stage], folder)
        set_modes(self.task.model)
        if figures:
            self.folder.log({"step": self.progress.total_steps, "evaluation": figures})
        self.ticked_at = self.options.clock()

    def _save_or_stop(self, learner: Learner) -> None:
        now, limit = self.options.clock(), self.options.minutes
        if limit is not None and now - self.started >= limit * 60:
            self.stopping = True
        self.stopping = ranks.any_of(self.stopping)
        due = now - self.saved_at >= self.recipe.save.every_minutes * 60
        if ranks.any_of(due or self.stopping):
            self._save(learner)

    def _save(self, learner: Learner | None) -> None:
        tensors = {f"weights/{name}": tensor for name, tensor in self._weights().items()}
        tensors.update(learner.tensors() if learner else {})
        progress, keep = self.progress, self.recipe.save.keep
        if learner:
            progress.position = ranks.gathered(self.position)
        checkpoint.save(
            self.folder.checkpoints, progress.total_steps, tensors, asdict(progress), keep
        )
        self.saved_at = self.options.clock()

    def _find(self) -> Path | None:
        self.started = self.options.clock()
        found = checkpoint.latest(self.folder.checkpoints)
        if found is not None:
            self.progress = Progress(**checkpoint.read_state(found))
            log.info("going on from %s", found)
        self.folder.rewind(self.progress.total_steps)
        return found

    def _load(self, found: Path | None, learner: Learner) -> None:
        if found is None:
            return
        tensors = {f"weights/{name}": tensor for name, tensor in self._weights().items()}
        within = self.progress.step > 0  # a finished stage leaves weights only
        checkpoint.read_into(found, {**tensors, **(learner.tensors() if within else {})})
        if not within:
            learner.restart_average()

    def _weights(self) -> dict[str, Tensor]:
        """What training may have changed so far; frozen weights come from where they came from."""
        model = self.task.model
        names = [name for name, _ in model.named_parameters()]
        reached = self.recipe.stages[: self.progress.stage + 1]
        trained = {
            name
            for stage in reached
            for name in matching(names, stage.train, f"stages.{stage.name}.train")
        }
        state = model.state_dict(keep_vars=False)
        frozen = set(names) - trained
        return {name: tensor for name, tensor in state.items() if name not in frozen}

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run after the step that is under way, with a checkpoint."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: object) -> None:
            self.stopping = True

        before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _recompute(model: torch.nn.Module, stage: Stage) -> Callable[[], None]:
    where = f"stages.{stage.name}.recompute"
    chosen = list(modules_matching(model, stage.recompute, where).values())
    for module in chosen:
        original = module.forward
        module.forward = lambda *args, _run=original: recomputed(_run, *args, use_reentrant=False)

    def undo() -> None:
        for module in chosen:
            del module.forward

    return undo


def _check_names(losses: Mapping[str, Tensor], stage: Stage) -> None:
    if set(losses) != set(stage.losses):
        raise ConfigError(
            f"stages.{stage.name}.losses weighs {sorted(stage.losses)}, but the task returns "
            f"{sorted(losses)}; weigh each of them (0 to watch only)"
        )


def _detached(outcome: Outcome) -> Outcome:
    return Outcome(
        losses={name: loss.detach() for name, loss in outcome.losses.items()},
        metrics=outcome.metrics,
    )


def _not_a_number(
    what: str, value: float, progress: Progress, batches: Sequence[Batch]
) -> TrainingError:
    names = [name for batch in batches for name in batch.names]
    return TrainingError(
        f"{what} is {value} in stage {progress.stage}, step {progress.step}, batch at position "
        f"{batches[0].position} {names or ''}; the last good checkpoint is kept. Lower the "
        f"learning rate or look at that batch"
    )
