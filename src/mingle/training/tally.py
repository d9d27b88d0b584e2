"""What the losses of a step come to: counts, means over batches and ranks, a line of words."""

from collections.abc import Mapping, Sequence
from typing import Any

from mingle.training import ranks
from mingle.training.streams import Batch
from mingle.training.task import Outcome


def totals_of(batches: Sequence[Batch], names: Mapping[str, float]) -> dict[str, float]:
    """Over how many items each loss is a mean in the whole step, all ranks together."""
    return ranks.add_up(
        {name: float(sum(batch.counts.get(name, 1) for batch in batches)) for name in names}
    )


def means_of(
    outcomes: Sequence[Outcome], batches: Sequence[Batch], totals: Mapping[str, float]
) -> dict[str, float]:
    """Each loss and metric of a whole step, over all its batches and all ranks."""
    values = dict.fromkeys((f"losses/{name}" for name in totals), 0.0)
    for outcome, batch in zip(outcomes, batches, strict=True):
        for name, loss in outcome.losses.items():
            values[f"losses/{name}"] += (
                float(loss) * batch.counts.get(name, 1) / (totals[name] or 1)
            )
    for outcome in outcomes:
        for name, metric in outcome.metrics.items():
            values[name] = values.get(name, 0.0) + metric / len(outcomes) / ranks.size()
    return ranks.add_up(values)


def nested(values: Mapping[str, float]) -> dict[str, Any]:
    """Numbers by path as dicts in dicts: {"losses/text": 2.0} -> {"losses": {"text": 2.0}}."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split("/")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def line_of(record: Mapping[str, Any]) -> str:
    """What the progress line says behind steps and time left."""
    words = [record["stage"], f"loss {record['loss']:.4f}"]
    words.append(f"{record['speed']['tokens_per_s']:.0f} tokens/s")
    words.append(f"{100 * record['speed']['share_of_sgemm']:.0f}% of sgemm")
    for kind, layers in record.get("balance", {}).get("max_violation", {}).items():
        words.append(f"{kind} violation {sum(layers.values()) / len(layers):.2f}")
    return ", ".join(words)
