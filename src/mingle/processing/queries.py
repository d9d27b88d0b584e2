"""The query rows behind a prompt, in whose place the thinker writes what is to be painted."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mingle.messages import Span
from mingle.processing.inputs import Prompt


def append_queries(prompt: Prompt, scales: Sequence[int], image_patch_id: int) -> Prompt:
    """Append, for each scale s, a picture of s * s placeholder tokens between its two tags.

    They stand in one row of s * s columns, not in a square: so they were trained. The tags' ids
    follow the placeholder's. (SPEC_GENERATION B1)
    """
    ids, spans = [prompt.ids], list(prompt.spans)
    end = len(prompt.ids)
    start_id, end_id = image_patch_id + 1, image_patch_id + 2
    for item, scale in enumerate(scales):
        count = scale**2
        ids.append(np.array([start_id, *[image_patch_id] * count, end_id], dtype=np.int64))
        spans.append(Span(start=end + 1, length=count, kind="query", item=item, grid=(1, 1, count)))
        end += count + 2
    return replace(prompt, ids=np.concatenate(ids), spans=tuple(spans))
