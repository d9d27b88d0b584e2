"""The detector: what its maps mean."""

import torch

from mingle.nn.detector import Detector, DetectorConfig, Maps, find

CONFIG = DetectorConfig(num_kinds=4, num_colours=3, dim=16, dilations=(1, 2))


def maps_of(things, cells=16):
    """Maps that show things (kind, colour, row, column) as blocks of 3 x 3 cells."""
    kinds, colours = torch.zeros(1, 4, cells, cells), torch.zeros(1, 3, cells, cells)
    kinds[:, 0] = 5
    centres = torch.full((1, cells, cells), -8.0)
    for kind, colour, row, column in things:
        block = (0, slice(None), slice(row - 1, row + 2), slice(column - 1, column + 2))
        kinds[block] = 0
        kinds[0, kind, row - 1 : row + 2, column - 1 : column + 2] = 9
        colours[0, colour, row - 1 : row + 2, column - 1 : column + 2] = 9
        centres[0, row, column] = 3
    return Maps(kinds=kinds, colours=colours, centres=centres, features=kinds)


def test_peaks_are_named_by_the_cells_around_them():
    (found,) = find(maps_of([(2, 1, 4, 4), (3, 0, 10, 12)]))
    assert [(one.kind, one.colour) for one in found] == [(2, 1), (3, 0)]
    assert abs(found[0].x - 4.5 / 16) < 0.01
    assert abs(found[1].y - 10.5 / 16) < 0.01


def test_an_empty_picture_shows_nothing():
    assert find(maps_of([])) == [[]]


def test_a_cell_is_four_pixels_a_side():
    maps = Detector(CONFIG)(torch.zeros(2, 3, 32, 24))
    assert maps.kinds.shape == (2, 4, 8, 6)
    assert maps.centres.shape == (2, 8, 6)
    assert maps.features.shape == (2, 16, 8, 6)
