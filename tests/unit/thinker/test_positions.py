"""Positions on three axes: worked by hand from the rule, then properties."""

import torch

from mingle.messages import Span
from mingle.thinker.positions import position_ids


def picture(start, grid, item=0, kind="image"):
    return Span(start=start, length=grid[0] * grid[1] * grid[2], kind=kind, item=item, grid=grid)


def test_text_counts_on_all_axes():
    where = position_ids(4, [], axes="video_rope")
    assert where.ids.tolist() == [[0, 1, 2, 3]] * 3
    assert where.next_position == 4


def test_video_rope_centres_a_picture_on_its_moment_and_goes_on_one_later():
    where = position_ids(9, [picture(2, (1, 2, 3))], axes="video_rope")
    time, height, width = where.ids.tolist()
    assert time == [0, 1, 2, 2, 2, 2, 2, 2, 3]
    assert height == [0, 1, 2, 2, 2, 3, 3, 3, 3]  # rows 0 and 1 around 2: (2 - 1) // 2 = 0 before
    assert width == [0, 1, 1, 2, 3, 1, 2, 3, 3]  # columns -1, 0, 1 around 2
    assert where.next_position == 4


def test_video_rope_spaces_the_steps_of_a_film_by_two_or_by_their_seconds():
    film = [picture(1, (3, 1, 1))]
    assert position_ids(5, film, axes="video_rope").ids[0].tolist() == [0, 1, 3, 5, 6]
    where = position_ids(5, film, [0.7], axes="video_rope")
    assert where.ids[0].tolist() == [0, 1, 2, 3, 4]  # 1, 2.4, 3.8, then 4.8: towards zero
    assert where.next_position == 5


def test_3d_counts_rows_and_columns_from_one_corner_and_goes_on_behind_the_longest_side():
    where = position_ids(9, [picture(2, (1, 2, 3))], axes="3d")
    time, height, width = where.ids.tolist()
    assert time == [0, 1, 2, 2, 2, 2, 2, 2, 5]
    assert height == [0, 1, 2, 2, 2, 3, 3, 3, 5]
    assert width == [0, 1, 2, 3, 4, 2, 3, 4, 5]
    assert where.next_position == 6


def test_3d_takes_two_positions_a_second():
    film = [picture(0, (3, 1, 1))]
    assert position_ids(3, film, axes="3d").ids[0].tolist() == [0, 1, 2]
    assert position_ids(3, film, [0.8], axes="3d").ids[0].tolist() == [0, 1, 3]


def test_sound_is_numbered_like_text():
    sound = Span(start=1, length=5, kind="audio", item=0)
    plain, heard = (position_ids(8, spans, axes="video_rope") for spans in ([], [sound]))
    assert torch.equal(plain.ids, heard.ids)


def test_a_prompt_that_ends_with_a_picture_goes_on_behind_it():
    for axes in ("video_rope", "3d"):
        short = position_ids(6, [picture(2, (1, 2, 2))], axes=axes)
        longer = position_ids(7, [picture(2, (1, 2, 2))], axes=axes)
        assert longer.ids[:, -1].tolist() == [short.next_position] * 3
        assert torch.equal(longer.ids[:, :-1], short.ids)
