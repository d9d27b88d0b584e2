"""diffusers' Z-Image transformer, over a batch of pictures of one size, with three freedoms.

The blocks are the library's. Its pass prepares picture by picture, some hundred small steps each,
which is most of a small model's time on a GPU; here a batch is prepared at once. And a small model
is free in how many tokens its two sequences are filled up to (the library: to a multiple of 32
each; with 16 tokens of picture and a few of words, most of the time would go into the filling);
tokens of the condition may belong to places of the picture (`guide`); and a reference may lie
beneath the picture, place by place (`beneath`), not behind it as more tokens.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch
from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

States = Float[Tensor, "batch tokens dim"]


class ZImage(ZImageTransformer2DModel):
    """The library's transformer; with the multiple 32 it computes what the library's does."""

    _supports_gradient_checkpointing = False  # this pass knows none
    token_multiple = 32
    num_places = 0
    guide: nn.Linear
    lays_beneath = False
    beneath: nn.Linear

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  # one size, one answer
        self,
        frames: Float[Tensor, "batch channels frames rows columns"],
        t: Float[Tensor, " batch"],
        conditions: Sequence[Float[Tensor, "_ token_dim"]],
    ) -> Float[Tensor, "batch channels rows columns"]:
        """What becomes of the first frame; the others are references.

        Words are numbered from 1 on the first axis, their filling too; the picture comes behind
        them, its filling stands at the origin. (diffusers, patchify_and_embed) What a condition
        says of places, and the reference beneath, are added to the tokens of the picture that is
        painted, behind the first block.
        """
        time = self.t_embedder(t * self.t_scale).type_as(frames)
        told = torch.cat(tuple(conditions))
        sizes = [len(tokens) for tokens in conditions]
        starts = torch.tensor([0, *accumulate(sizes[:-1])], device=told.device)[:, None]
        added: list[States] = []
        if self.num_places:
            places = torch.arange(self.num_places, device=told.device)
            added.append(self.guide(told[starts + places]))
        if self.lays_beneath and frames.shape[2] > 1:
            added.append(self.beneath(self._patches(frames[:, :, 1:])))
            frames = frames[:, :, :1]
        counts = [size - self.num_places for size in sizes]
        words, numbers = self._words(told, starts + self.num_places, counts)
        lengths = torch.tensor([self._full(count) for count in counts], device=told.device)
        picture, places = self._picture(frames, lengths + 1)
        turns = self._turn(places), self._turn(F.pad(numbers[:, :, None], (0, 2)))
        heard = None
        if len({self._full(count) for count in counts}) > 1:
            heard = numbers <= lengths[:, None]
        for layer in self.noise_refiner:
            picture = layer(picture, None, turns[0], time)
        for layer in self.context_refiner:
            words = layer(words, heard, turns[1])
        states, turn = torch.cat((picture, words), dim=1), torch.cat(turns, dim=1)
        if heard is not None:
            heard = F.pad(heard, (picture.shape[1], 0), value=True)
        for number, layer in enumerate(self.layers):
            states = layer(states, heard, turn, time)
            if number == 0 and added:
                extra = torch.stack(added).sum(0)
                states = states + F.pad(extra, (0, 0, 0, states.shape[1] - extra.shape[1]))
        return self._unpatched(states, time, frames.shape[3:])

    def _words(
        self,
        told: Float[Tensor, "_ token_dim"],
        starts: Int[Tensor, "batch 1"],
        counts: Sequence[int],
    ) -> tuple[States, Int[Tensor, "batch tokens"]]:
        """Embedded words of each condition, filled up to the longest one's; and their numbers."""
        length = self._full(max(counts))
        numbers = torch.arange(1, length + 1, device=told.device).expand(len(counts), -1)
        ends = torch.tensor(counts, device=told.device)[:, None]
        words = self.cap_embedder(told[starts + torch.minimum(numbers, ends) - 1])
        return torch.where((numbers <= ends)[:, :, None], words, self.cap_pad_token), numbers

    def _picture(
        self,
        frames: Float[Tensor, "batch channels frames rows columns"],
        start: Int[Tensor, " batch"],
    ) -> tuple[States, Int[Tensor, "batch tokens 3"]]:
        """Embedded patches, filled up, and their places; `start` is the first frame's number."""
        side = self.all_patch_size[0]
        tokens = self.all_x_embedder[f"{side}-1"](self._patches(frames))
        missing = self._full(tokens.shape[1]) - tokens.shape[1]
        filling = self.x_pad_token.expand(len(tokens), missing, -1)
        spans = (frames.shape[2], frames.shape[3] // side, frames.shape[4] // side)
        grid = self.create_coordinate_grid(spans, (0, 0, 0), frames.device).flatten(0, 2)
        places = grid + F.pad(start[:, None, None], (0, 2))
        return torch.cat((tokens, filling), dim=1), F.pad(places, (0, 0, 0, missing))

    def _turn(self, places: Int[Tensor, "batch tokens 3"]) -> Complex[Tensor, "batch tokens turns"]:
        return self.rope_embedder(places.flatten(0, 1)).unflatten(0, places.shape[:2])

    def _patches(self, frames: Float[Tensor, "batch channels frames rows columns"]) -> States:
        side = self.all_patch_size[0]
        squares = frames.unflatten(4, (-1, side)).unflatten(3, (-1, side))
        return squares.permute(0, 2, 3, 5, 4, 6, 1).flatten(4).flatten(1, 3)

    def _unpatched(
        self, states: States, time: Float[Tensor, "batch _"], size: torch.Size
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The last layer, of the first frame's tokens."""
        side = self.all_patch_size[0]
        rows, columns = (length // side for length in size)
        made = self.all_final_layer[f"{side}-1"](states[:, : rows * columns], c=time)
        squares = made.unflatten(2, (side, side, -1)).unflatten(1, (rows, columns))
        return squares.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)

    def _full(self, tokens: int) -> int:
        return tokens + -tokens % self.token_multiple
