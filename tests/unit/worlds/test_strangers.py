"""The recordings of real speakers who are not in training."""

from mingle.worlds import prompts, strangers
from mingle.worlds.sentences import normalise


def test_nine_recordings_of_two_people_with_their_words():
    found = strangers.load()
    assert {one.name.split("_")[0] for one in found} == {"austen", "sonnet"}
    assert len(found) == 9
    for one in found:
        assert one.text == normalise(one.text)
        words_a_second = len(one.text.split()) / (len(one.samples) / 16_000)
        assert 1.5 < words_a_second < 4.5, one.name
        assert 0.05 < abs(one.samples).max() <= 1


def test_their_words_are_no_prompts_of_training():
    trained = {text for _, text in prompts.texts("train")}
    assert not trained & {one.text for one in strangers.load()}
