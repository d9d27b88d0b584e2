"""Which experts the tokens of each modality use."""

import torch

from mingle.engine.activity import ExpertUse
from mingle.messages import Modality
from mingle.nn.moe import Routing


def routing(experts, modality):
    chosen = torch.tensor(experts)
    return Routing(
        logits=torch.zeros(len(experts), 4),
        expert_ids=chosen,
        weights=torch.ones(chosen.shape),
        modality=torch.tensor(modality),
    )


def test_experts_are_counted_by_modality():
    use = ExpertUse()
    use.note(())  # a model without expert layers
    use.note([routing([[0, 1], [0, 2], [3, 2]], [0, 0, 1])])
    use.note([routing([[0, 3]], [0])])
    assert use.counts() == {Modality.TEXT: [3, 1, 1, 1], Modality.IMAGE: [0, 0, 1, 1]}
