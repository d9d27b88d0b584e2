"""Reading letters: what the beam adds up, and how lexicon and expected words lead it."""

from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest

from mingle.errors import CheckpointError
from mingle.processing.reading import BeamSettings, LetterReader, expected_words
from mingle.processing.word_model import count_words, read_words, write_words

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"
TEXTS = [("the conference is locked", 3.0), ("the call is on hold", 2.0), ("lock the door", 1.0)]
SETTINGS = BeamSettings(
    width=16,
    words=0.5,
    per_word=0.5,
    unknown=4.0,
    unknown_letter=1.0,
    expected=-4.0,
    least=-12.0,
)


def spelled(text: str, doubts: str = "") -> np.ndarray:
    """Log-probabilities of two rows for a letter and a blank between; `doubts` come second."""
    scores = np.full((3 * len(text), len(ALPHABET) + 1), -9.0)
    for i, letter in enumerate(text):
        scores[3 * i : 3 * i + 2, ALPHABET.index(letter) + 1] = 0.0
        scores[3 * i + 2, 0] = 0.0
        if i < len(doubts):
            scores[3 * i : 3 * i + 2, ALPHABET.index(doubts[i]) + 1] = -1.0
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def reader(texts=TEXTS, **changes) -> LetterReader:
    settings = BeamSettings(**{**vars(SETTINGS), **changes})
    return LetterReader(ALPHABET, count_words(texts), settings)


def test_a_misheard_word_becomes_the_known_one():
    (best,) = reader().read(spelled("the comference is lokked", "the conference is locked"))
    assert best.text == "the conference is locked"


def test_a_clear_unknown_word_is_spelled_as_heard():
    assert reader().read(spelled("the zyx is on hold"))[0].text == "the zyx is on hold"


def test_an_expected_name_wins_over_what_was_nearly_heard():
    scores = spelled("call marchetty", "call marchetti")
    assert reader().read(scores)[0].text == "call marchetty"
    assert reader().read(scores, ["marchetti"])[0].text == "call marchetti"


def test_a_wrong_expectation_changes_nothing_that_was_clear():
    scores = spelled("the call is on hold")
    assert reader().read(scores, ["wall", "hole", "marchetti"])[0].text == "the call is on hold"


def test_readings_come_best_first_and_are_different():
    readings = reader().read(spelled("the hall is", "the call is"), num=2)
    scores = [reading.score for reading in readings]
    assert scores == sorted(scores, reverse=True)
    assert len({reading.text for reading in readings}) == 2


def test_a_wide_beam_adds_up_all_paths_of_a_text():
    """Against every path of four rows over two letters and the blank."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 3))
    scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
    free = BeamSettings(
        width=10_000,
        words=0.0,
        per_word=0.0,
        unknown=0.0,
        unknown_letter=0.0,
        expected=0.0,
        least=-100.0,
    )
    readings = LetterReader("ab", count_words([("a b", 1.0)]), free).read(scores, num=10_000)
    sums: dict[str, float] = {}
    for path in product(range(3), repeat=4):
        text = "".join("ab"[c - 1] for c, _ in groupby(path) if c)
        logs = sum(scores[row, c] for row, c in enumerate(path))
        sums[text] = np.logaddexp(sums.get(text, -np.inf), logs)
    assert {r.text: r.letters for r in readings} == pytest.approx(sums)


def test_silence_reads_as_nothing():
    silence = np.log(np.tile([0.9] + [0.1 / len(ALPHABET)] * len(ALPHABET), (40, 1)))
    assert reader().read(silence)[0].text == ""


def test_probabilities_of_the_next_word_sum_to_one():
    model = count_words(TEXTS)
    for before in (0, model.words.index("the"), model.words.index("hold")):
        total = sum(np.exp(model.score(before, word)) for word in range(len(model.words)))
        assert total == pytest.approx(1.0, abs=1e-4)
    the, lock = model.words.index("the"), model.words.index("lock")
    assert model.score(lock, the) > model.score(the, lock)


def test_a_stored_model_reads_back(tmp_path: Path):
    model = count_words(TEXTS)
    write_words(model, tmp_path / "words.npz")
    again = read_words(tmp_path / "words.npz")
    assert again.words == model.words
    np.testing.assert_array_equal(again.next_words, model.next_words)
    np.testing.assert_allclose(again.next_logs, model.next_logs, rtol=2e-3)  # fp16
    assert [path.name for path in tmp_path.iterdir()] == ["words.npz"]


def test_missing_and_damaged_words_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"words\.npz"):
        read_words(tmp_path / "words.npz")
    (tmp_path / "words.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match=r"words\.npz"):
        read_words(tmp_path / "words.npz")


def test_expected_words_are_single_words_of_the_alphabet():
    told = ["New York", "O'Brien", "", "new deals, 3 of them"]
    assert expected_words(told, ALPHABET) == ("new", "york", "o'brien", "deals", "of", "them")


def test_expected_words_in_other_letters_are_told(caplog):
    assert expected_words(["Zoë", "北"], ALPHABET) == ("zo",)
    assert "['ë', '北']" in caplog.text
