"""diffusers' Z-Image transformer with three freedoms that a small model needs.

How many tokens its two sequences are filled up to: the library fills condition and picture up to a
multiple of 32 tokens each; with 16 tokens of picture and ten of words, most of the time would go
into the filling. Tokens of the condition that belong to places of the picture (`guide`). And a
reference that lies beneath the picture, place by place (`beneath`), not behind it as more tokens.
"""

from typing import Any

import torch
from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel
from jaxtyping import Float, Int
from torch import Tensor, nn


class ZImage(ZImageTransformer2DModel):
    """The library's transformer; with the multiple 32 it computes what the library's does."""

    token_multiple = 32
    num_places = 0
    guide: nn.Linear
    lays_beneath = False
    beneath: nn.Linear

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  (the library has more)
        self,
        x: list[Float[Tensor, "channels frames rows columns"]],
        t: Float[Tensor, " batch"],
        cap_feats: list[Float[Tensor, "_ token_dim"]],
        **options: Any,
    ) -> Any:
        """The library's pass; the first `num_places` tokens of a condition are a guide.

        They, and the reference that lies beneath, are added to the tokens of the picture that is
        painted, behind the first block, by the library's own way for such additions.
        """
        added: list[Float[Tensor, "batch tokens dim"]] = []
        if self.num_places:
            added.append(self.guide(torch.stack([item[: self.num_places] for item in cap_feats])))
            cap_feats = [item[self.num_places :] for item in cap_feats]
        if self.lays_beneath and x[0].shape[1] > 1:
            side = self.all_patch_size[0]
            patches = [self._patchify_image(item[:, 1:], side, 1)[0] for item in x]
            added.append(self.beneath(torch.stack(patches)))
            x = [item[:, :1] for item in x]
        if added:
            tokens = x[0][0].numel() // self.all_patch_size[0] ** 2
            filled = self._full(tokens) + max(self._full(len(item)) for item in cap_feats)
            extra = torch.stack(added).sum(0)
            extra = nn.functional.pad(extra, (0, 0, 0, filled - extra.shape[1]))
            options["controlnet_block_samples"] = {0: extra}
        return super().forward(x, t, cap_feats, **options)

    def _full(self, tokens: int) -> int:
        return tokens + -tokens % self.token_multiple

    def patchify_and_embed(
        self,
        all_image: list[Float[Tensor, "channels frames rows columns"]],
        all_cap_feats: list[Float[Tensor, "_ token_dim"]],
        patch_size: int,
        f_patch_size: int,
    ) -> tuple[Any, ...]:
        """Patches, places and what is filling, of pictures and of conditions.

        Words are numbered from 1 on the first axis, their filling too; the picture comes behind
        them, its filling stands at the origin. (diffusers, patchify_and_embed)
        """
        device = all_image[0].device
        pictures, sizes, places, words, word_places = [], [], [], [], []
        for image, condition in zip(all_image, all_cap_feats, strict=True):
            filled = _filled(condition, self.token_multiple)
            words.append(filled)
            numbers = torch.arange(1, len(filled[0]) + 1, dtype=torch.int32, device=device)
            word_places.append(nn.functional.pad(numbers[:, None], (0, 2)))
            patches, size, counts = self._patchify_image(image, patch_size, f_patch_size)
            start = (len(filled[0]) + 1, 0, 0)
            grid = self.create_coordinate_grid(counts, start, device).flatten(0, 2)
            pictures.append(_filled(patches, self.token_multiple))
            sizes.append(size)
            places.append(_with_origins(grid, len(pictures[-1][0])))
        return (
            [item for item, _ in pictures],
            [item for item, _ in words],
            sizes,
            places,
            word_places,
            [filling for _, filling in pictures],
            [filling for _, filling in words],
        )


def _filled(rows: Float[Tensor, "tokens dim"], multiple: int) -> tuple[Tensor, Tensor]:
    """The rows, the last one repeated up to the next multiple; and which of them are filling."""
    missing = -len(rows) % multiple
    filling = torch.arange(len(rows) + missing, device=rows.device) >= len(rows)
    return torch.cat((rows, rows[-1:].expand(missing, -1))), filling


def _with_origins(places: Int[Tensor, "tokens 3"], length: int) -> Int[Tensor, "length 3"]:
    return torch.cat((places, places.new_zeros(length - len(places), 3)))
