"""Which experts the tokens of each modality use: counted, for those who look on."""

import threading
from collections.abc import Sequence

import torch

from mingle.messages import Modality
from mingle.nn.moe import Routing


class ExpertUse:
    """Counts of the middle expert layer; the stepping thread writes, any thread reads."""

    def __init__(self):
        self._counts: dict[Modality, list[int]] = {}
        self._changing = threading.Lock()

    def note(self, routing: Sequence[Routing]) -> None:
        """Count one step. A model without expert layers counts nothing."""
        if not routing:
            return
        layer = routing[len(routing) // 2]
        num_experts = layer.logits.shape[-1]
        for modality in map(Modality, layer.modality.unique().tolist()):
            chosen = layer.expert_ids[layer.modality == modality].flatten()
            counts = torch.bincount(chosen, minlength=num_experts).tolist()
            with self._changing:
                before = self._counts.get(modality, [0] * num_experts)
                self._counts[modality] = [a + b for a, b in zip(before, counts, strict=True)]

    def counts(self) -> dict[Modality, list[int]]:
        """How often each expert was chosen since the start, by modality."""
        with self._changing:
            return dict(self._counts)
