"""What counts as the same answer."""

import pytest

from mingle.evaluation.abilities.asked import figures_of, same


@pytest.mark.parametrize("said", ["a dog", "A dog.", "dog", " The  dog! ", '"a dog"'])
def test_case_article_and_marks_do_not_matter(said: str):
    assert same(said, "a dog")


@pytest.mark.parametrize("said", ["", "a dog and a cat", "dogs", "a hot dog", "not a dog"])
def test_anything_else_does(said: str):
    assert not same(said, "a dog")


def test_the_bar_stands_at_the_whole_set_only():
    figures = figures_of([("count", True), ("count", False), ("what", True)], bar=0.8, goal=0.95)
    assert [(f.name, round(f.value, 2), f.passed) for f in figures] == [
        ("right answers: all", 0.67, False),
        ("right answers: count", 0.5, None),
        ("right answers: what", 1.0, None),
    ]
