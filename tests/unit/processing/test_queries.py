"""Query rows behind a prompt."""

import numpy as np

from mingle.messages import Span
from mingle.processing.inputs import Prompt
from mingle.processing.queries import append_queries


def test_each_scale_is_a_row_of_placeholders_between_tags():
    picture = Span(start=1, length=2, kind="image", item=0, grid=(1, 1, 2))
    prompt = Prompt(ids=np.array([5, 9, 9, 6]), spans=(picture,))
    asked = append_queries(prompt, (1, 2), 9)
    assert asked.ids.tolist() == [5, 9, 9, 6, 10, 9, 11, 10, 9, 9, 9, 9, 11]
    assert asked.spans[0] is picture
    assert [(s.start, s.length, s.item, s.grid) for s in asked.spans[1:]] == [
        (5, 1, 0, (1, 1, 1)),
        (8, 4, 1, (1, 1, 4)),
    ]
    assert prompt.ids.tolist() == [5, 9, 9, 6]
