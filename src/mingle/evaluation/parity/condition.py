"""Parity of the painter's condition: query rows in the prompt, connector, projections."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mingle.checkpoints.flash_omni_2 import painter as family
from mingle.checkpoints.flash_omni_2 import painter_config as configs
from mingle.checkpoints.mapping import Ignore, apply
from mingle.evaluation.parity.check import Check, read_json, read_tensors
from mingle.evaluation.parity.pictures import compare_all, load
from mingle.messages import Span
from mingle.nn.attention import Packed
from mingle.nn.transformer import positions_of
from mingle.painter.condition import Connector
from mingle.processing.inputs import Prompt
from mingle.processing.queries import append_queries

MERGE = 2  # patches along each side of one thinker token


@torch.no_grad()
def check_condition(case: Path) -> list[Check]:
    """Kind image_condition: a prompt with queries, the thinker's states given, the condition."""
    raw = read_json(case, "config.json")
    thinker, width = raw["llm_config"], raw["mlp"]["diffusion_c_input_dim"]
    config = configs.read_condition(raw["mlp"], raw["connector"], thinker["hidden_size"], width)
    rules = family.condition_rules(replace(config, mlp_dim=None))  # ends before that network
    ours, _ = apply(
        (*rules, Ignore("mlp/mlp.*", "not a part of this")), read_tensors(case, "weights")
    )
    connector = Connector(config)
    load(connector, ours, "connector.")
    queries = [ours[f"queries.{number}"] for number in range(len(config.query_scales))]
    scales, patch_id = config.query_scales, thinker["image_patch_token"]
    inputs = read_tensors(case, "inputs")
    prompts = [
        append_queries(prompt, scales, patch_id)
        for prompt in _prompts(inputs["input_ids"], inputs["attention_mask"])
    ]
    edits = [
        append_queries(prompt, scales, patch_id)
        for prompt in _edits(inputs["edit_input_ids"], inputs["edit_image_grid_thw"], patch_id)
    ]
    length = inputs["llm_hidden"].shape[1]
    hidden = [
        states[prompt.spans[-1].start :][: prompt.spans[-1].length]
        for states, prompt in zip(inputs["llm_hidden"], prompts, strict=True)
    ]
    found = {
        **_rows(prompts, inputs["input_ids"], inputs["attention_mask"], length),
        "edit_new_input_ids": torch.stack([torch.from_numpy(edit.ids) for edit in edits]),
        "edit_gen_mask": torch.stack([_query_mask(edit, len(edit.ids)) for edit in edits]),
        "edit_new_grid_thw": _grids(edits),
        "edit_all_image_embeds": _embeds(edits, inputs["edit_image_embeds"], queries),
        "t2i_image_embeds": torch.cat(queries),
        "t2i_grid_thw": _grids(prompts[:1]),
        **_stages(connector, hidden),
    }
    return compare_all(case, found)


def _prompts(ids: Tensor, mask: Tensor) -> list[Prompt]:
    rows = zip(ids, mask, strict=True)
    return [Prompt(ids=row[kept.bool()].numpy(), spans=()) for row, kept in rows]


def _edits(ids: Tensor, grids: Tensor, patch_id: int) -> list[Prompt]:
    """Prompts in which every run of placeholders is one picture, in order of the grids."""
    pictures = iter(grids.tolist())
    prompts = []
    for row in ids.tolist():
        spans, start = [], 0
        while patch_id in row[start:]:
            start = row.index(patch_id, start)
            time, height, width = next(pictures)
            grid = (time, height // MERGE, width // MERGE)
            length = grid[0] * grid[1] * grid[2]
            spans.append(Span(start=start, length=length, kind="image", item=len(spans), grid=grid))
            start += length
        prompts.append(Prompt(ids=torch.tensor(row).numpy(), spans=tuple(spans)))
    return prompts


def _rows(prompts: Sequence[Prompt], ids: Tensor, mask: Tensor, length: int) -> dict[str, Tensor]:
    """Our prompts as the released code keeps them: padded on the right with what stood there."""
    padding = [row[kept == 0] for row, kept in zip(ids, mask, strict=True)]
    joined = [
        torch.cat((torch.from_numpy(prompt.ids), pads))
        for prompt, pads in zip(prompts, padding, strict=True)
    ]
    return {
        "new_input_ids": torch.stack(joined),
        "new_attention_mask": torch.stack(
            [(torch.arange(length) < len(prompt.ids)).long() for prompt in prompts]
        ),
        "gen_mask": torch.stack([_query_mask(prompt, length) for prompt in prompts]),
    }


def _query_mask(prompt: Prompt, length: int) -> Tensor:
    mask = torch.zeros(length, dtype=torch.long)
    for span in prompt.spans:
        if span.kind == "query":
            mask[span.start : span.start + span.length] = 1
    return mask


def _grids(prompts: Sequence[Prompt]) -> Tensor:
    """(time, height, width) in patches of every picture and query span."""
    grids = [span.grid for prompt in prompts for span in prompt.spans if span.grid]
    return torch.tensor([(time, MERGE * rows, MERGE * cols) for time, rows, cols in grids])


def _embeds(prompts: Sequence[Prompt], pictures: Tensor, queries: Sequence[Tensor]) -> Tensor:
    """Rows that replace placeholders, prompt by prompt: its pictures, then the queries."""
    pieces, at = [], 0
    for prompt in prompts:
        count = sum(span.length for span in prompt.spans if span.kind == "image")
        pieces += [pictures[at : at + count], *queries]
        at += count
    return torch.cat(pieces)


def _stages(connector: Connector, hidden: Sequence[Tensor]) -> Mapping[str, Tensor]:
    """The connector's stages one by one, and its whole."""
    rows = [connector.proj_in(item) for item in hidden]
    lengths = tuple(len(row) for row in rows)
    x = torch.cat(rows)
    states = connector.decoder(x, positions_of(lengths, x.device), Packed(lengths))
    return {
        "query_hidden": torch.stack(list(hidden)),
        "proj_in_out": torch.stack(rows),
        "connector_hidden": states.unflatten(0, (len(hidden), -1)),
        "condition_embeds": torch.stack(connector(hidden)),
    }
