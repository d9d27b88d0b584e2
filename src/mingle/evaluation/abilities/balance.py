"""Balance: how evenly the media's tokens use their experts in the trained thinker."""

from typing import Literal

import torch

from mingle.checkpoints.nano.config import NanoConfig
from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.asked import held_out
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, mean
from mingle.messages import Modality, Request
from mingle.nn.attention import Packed
from mingle.nn.moe import Routing
from mingle.worlds.talk import Conversation, about_film, about_picture, spoken_about_picture

COUNT = 40  # conversations of each kind


@torch.inference_mode()
def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """For each medium, means over the expert layers: largest load, dead experts, entropy."""
    count = effort.of(COUNT)
    talks = held_out(about_picture, count) + held_out(about_film, count)
    parts = ["vision"]
    if "audio" in assistant.folder.parts and not assistant.processor.reads(shown=True):
        talks += held_out(spoken_about_picture, count)
        parts.append("audio")
    assistant.need(*parts)
    loads = sum((_loads(assistant, talk) for talk in talks[1:]), _loads(assistant, talks[0]))
    config: NanoConfig = assistant.folder.config["thinker"]
    shared = slice(config.text_experts, loads.shape[-1] - config.about_media_experts)
    figures: list[Figure] = []
    for kind in (Modality.IMAGE, Modality.AUDIO):
        own = loads[:, kind, shared].double()
        if own.sum():
            figures += _figures(kind.name.lower(), own)
    return figures


def _loads(assistant: Assistant, talk: Conversation) -> torch.Tensor:
    """Tokens of each modality on each expert of each layer: layers modalities experts."""
    prompt = assistant.processor.prepare(Request(messages=talk.messages[:-1]))
    embedded = assistant.model.embed(prompt)
    attend = Packed([len(embedded.hidden)])
    _, routings = assistant.model.thinker(
        embedded.hidden, embedded.positions, embedded.modality, attend
    )
    return torch.stack([_load(routing) for routing in routings])


def _load(routing: Routing) -> torch.Tensor:
    experts = routing.logits.shape[-1]
    cells = routing.modality[:, None] * experts + routing.expert_ids
    return cells.flatten().bincount(minlength=len(Modality) * experts).unflatten(0, (-1, experts))


def _figures(kind: str, loads: torch.Tensor) -> list[Figure]:
    """`loads` has a row for each layer: how many tokens each of the medium's experts got."""
    shares = loads / loads.sum(-1, keepdim=True)
    count = loads.shape[-1]
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum(-1) / torch.log(torch.tensor(count))
    measures: dict[str, tuple[torch.Tensor, Literal["higher", "lower"]]] = {
        "largest load over the mean, minus 1": (shares.max(-1).values * count - 1, "lower"),
        "experts without a token": ((loads == 0).double().mean(-1), "lower"),
        "entropy of loads over the largest": (entropy, "higher"),
    }
    figures: list[Figure] = []
    for name, (values, better) in measures.items():
        value, low, high = mean(values.tolist())
        figures.append(
            Figure(
                name=f"{kind}: {name}",
                value=value,
                low=low,
                high=high,
                count=len(values),
                better=better,
            )
        )
    return figures


ABILITY = Ability(
    name="balance",
    title="Balance of the experts",
    parts=("thinker", "vision"),
    data=(
        "40 held-out conversations of each kind: pictures, films, spoken questions where the "
        "thinker hears them itself; over the experts of media, as a mean over the expert layers"
    ),
    measure=measure,
)
