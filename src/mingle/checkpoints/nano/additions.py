"""What training adds to nano's thinker: media tokens; experts and routers beside those of text.

They lie in `thinker.safetensors`; without it the thinker is the base as it was upcycled. Text's
experts, text's routers and everything of the base are never stored: they do not change.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mingle.checkpoints.nano.config import NanoConfig
from mingle.checkpoints.nano.trained import check
from mingle.messages import Modality

PART = "thinker"
MEDIA_TOKENS = "media_tokens"
EMBEDDING = "embedding.weight"


def extract(state: Mapping[str, Tensor], config: NanoConfig) -> dict[str, Tensor]:
    """The additions among a thinker's tensors."""
    found = {name: state[name][rows] for name, rows in _places(config)}
    found[MEDIA_TOKENS] = found.pop(EMBEDDING)
    return found


@torch.no_grad()
def put(
    state: dict[str, Tensor], additions: Mapping[str, Tensor], config: NanoConfig, source: str
) -> None:
    """Write additions over the upcycled tensors: all of them, and nothing else.

    Raises CheckpointError that names `source`.
    """
    places = dict(_places(config))
    given = {EMBEDDING if name == MEDIA_TOKENS else name: x for name, x in additions.items()}
    check(given, {name: state[name][rows] for name, rows in places.items()}, source)
    for name, rows in places.items():
        added = given[name].to(state[name].dtype)
        state[name] = torch.cat((state[name][: rows.start], added))


def _places(config: NanoConfig) -> Iterator[tuple[str, slice]]:
    """Our names, and from which row on a tensor is an addition."""
    sparse = config.thinker.sparse
    assert sparse is not None
    yield EMBEDDING, slice(config.thinker.output_size, None)
    for layer in sparse.layers:
        begin = f"layers.{layer}.feed_forward."
        yield f"{begin}experts.gate_up", slice(config.text_experts, None)
        yield f"{begin}experts.down", slice(config.text_experts, None)
        for kind in sparse.routers:
            if kind != Modality.TEXT:
                yield f"{begin}routers.{kind.name.lower()}.weight", slice(0, None)
                yield f"{begin}routers.{kind.name.lower()}.selection_bias", slice(0, None)
