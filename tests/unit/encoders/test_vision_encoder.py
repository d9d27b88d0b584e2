"""Eyes: pictures do not see each other, frames of a film neither."""

import torch
from miniature.tiny import TINY_VISION, tiny_vision

from mingle.encoders.grids import in_blocks

CLOSE = {"atol": 1e-5, "rtol": 1e-4}  # fp32


def patches(grid, seed):
    count = grid[0] * grid[1] * grid[2]
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(count, TINY_VISION.patch_values, generator=draw)


def test_pictures_together_equal_pictures_alone():
    encoder, grids = tiny_vision(), [(1, 2, 4), (1, 6, 2), (1, 4, 4)]
    values = [patches(grid, seed) for seed, grid in enumerate(grids)]
    together = encoder(torch.cat(values), grids)
    alone = [encoder(one, [grid]) for one, grid in zip(values, grids, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), **CLOSE)


def test_steps_of_a_film_equal_pictures_of_their_own():
    encoder, film = tiny_vision(), patches((3, 2, 4), 7)
    steps = [encoder(step, [(1, 2, 4)]) for step in film.split(8)]
    torch.testing.assert_close(encoder(film, [(3, 2, 4)]), torch.cat(steps), **CLOSE)


def test_embeddings_have_unit_length_and_one_stands_for_four_patches():
    embedded = tiny_vision()(patches((1, 4, 6), 1), [(1, 4, 6)])
    assert embedded.shape == (6, TINY_VISION.out_dim)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(6))


def test_patches_come_in_blocks_of_two_by_two():
    grid = torch.arange(4 * 6).view(4, 6, 1).float()
    blocks = in_blocks(grid, 2)[:, 0].view(-1, 4)
    assert blocks[0].tolist() == [0, 1, 6, 7]
    assert blocks[1].tolist() == [2, 3, 8, 9]
    assert blocks[3].tolist() == [12, 13, 18, 19]


def test_a_picture_of_the_table_size_gets_the_table_itself():
    encoder, rows = tiny_vision(), TINY_VISION.position_rows
    table = encoder.position_table.weight.unflatten(0, (rows, rows))
    stretched = encoder.positions([(1, 2 * rows - 2, 2 * rows - 2)])  # every second is a row
    corner, block = stretched[0], stretched[1]
    torch.testing.assert_close(corner, table[0, 0])
    weight = (rows - 1) / (2 * rows - 3)  # where the second column falls
    torch.testing.assert_close(block, torch.lerp(table[0, 0], table[0, 1], weight))
