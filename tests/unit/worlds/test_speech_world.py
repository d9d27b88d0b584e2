"""The speech world: sentences, synthetic voices, rooms, the corpus on disk."""

import shutil

import numpy as np
import pytest

from mingle.errors import CapacityError
from mingle.processing.words import distance, word_errors
from mingle.worlds import corpus, names, phrases, prompts, sentences, voices
from mingle.worlds.rooms import distort
from mingle.worlds.voices import SAMPLE_RATE, VOICES, synthesise

needs_voices = pytest.mark.skipif(
    not (shutil.which("flite") and shutil.which("espeak-ng")),
    reason="flite and espeak-ng are not installed (make worlds)",
)
needs_wordnet = pytest.mark.skipif(
    not sentences.WORDNET.exists(), reason="WordNet is not installed (make worlds)"
)


def named(name: str) -> voices.Voice:
    return next(voice for voice in VOICES if voice.name == name)


def test_normalised_text_has_letters_and_single_spaces():
    assert sentences.normalise("  Don't STOP -- now, please! ") == "don't stop now please"


def test_numbers_in_words():
    numbers = [phrases.number_words(n) for n in (0, 13, 20, 99)]
    assert numbers == ["zero", "thirteen", "twenty", "ninety nine"]


@needs_wordnet
def test_no_sentence_is_in_both_splits():
    rng = np.random.default_rng(0)
    texts = {
        split: {sentences.normalise(sentences.sample_sentence(rng, split)) for _ in range(300)}
        for split in ("train", "held_out")
    }
    assert not texts["train"] & texts["held_out"]
    assert all("{" not in text for text in texts["train"])


@needs_wordnet
def test_dealt_sentences_come_once_before_any_comes_twice():
    rng = np.random.default_rng(0)
    dealt = [sentences.deal_sentence(rng, "train", 3, number) for number in range(400)]
    examples = [text for number, text in enumerate(dealt) if number % 4 != 3]
    assert len(set(examples)) == len(examples) == 300
    assert set(examples) <= set(sentences.wordnet_examples())
    assert not any(sentences.RUDE.search(text) for text in dealt)


@needs_wordnet
def test_words_of_held_out_recordings_are_no_training_text():
    held_out = {words for _, words in prompts.texts("held_out")}
    train = {words for _, words in prompts.texts("train")}
    assert len(held_out) == 125
    assert min(len(words.split()) for words in held_out) >= 3
    assert not held_out & train
    spoken = {sentences.normalise(text) for text in sentences.split_examples("train")}
    assert not held_out & spoken


@pytest.mark.skipif(not prompts.FOLDER.is_dir(), reason="needs asterisk-core-sounds-en-g722")
def test_a_real_prompt_lasts_as_long_as_its_words():
    (locked,) = [p for p in prompts.load("held_out") if p.name == "conf-locked"]
    assert locked.text == "this conference is locked"
    assert 1.0 < len(locked.samples) / SAMPLE_RATE < 2.5


def test_names_and_phrases_have_their_slots_filled():
    rng = np.random.default_rng(0)
    named = names.sample_named(rng, 5)
    assert named.name in named.text
    assert named.name not in named.others
    assert len(set(named.others)) == 5
    assert all("{" not in phrases.sample_phrase(rng) for _ in range(300))


@needs_voices
def test_speed_and_pitch_are_what_was_asked():
    plain = synthesise("the weather is nice today", named("slt"))
    fast = synthesise("the weather is nice today", named("slt"), speed=1.25)
    high = synthesise("the weather is nice today", named("slt"), pitch=1.2)
    assert len(plain.samples) / len(fast.samples) == pytest.approx(1.25, rel=0.05)
    assert len(high.samples) == pytest.approx(len(plain.samples), rel=0.05)
    assert _pitch(high.samples) / _pitch(plain.samples) == pytest.approx(1.2, rel=0.08)


@needs_voices
def test_phones_of_flite_end_with_the_recording():
    spoken = synthesise("hello there", named("rms"), speed=0.9, pitch=1.1)
    ends = [phone.end_s for phone in spoken.phones]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(spoken.samples) / SAMPLE_RATE, abs=0.15)
    assert [p.name for p in spoken.phones] == ["pau", "hh", "ax", "l", "ow", "dh", "eh", "r", "pau"]


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CapacityError, match="install Debian's flite"):
        synthesise("hello", named("slt"))


def test_rooms_keep_the_scale_and_add_silence_first():
    rng = np.random.default_rng(2)
    tone = np.sin(np.arange(SAMPLE_RATE, dtype=np.float32) * 0.3)
    for _ in range(30):
        heard = distort(rng, tone)
        assert np.abs(heard).max() <= 1.0
        assert 0.02 * SAMPLE_RATE <= len(heard) - len(tone) <= 0.9 * SAMPLE_RATE


@needs_voices
@needs_wordnet
def test_a_shard_reads_back_what_was_made_and_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "SHARD", 2)
    config = corpus.CorpusConfig(folder=str(tmp_path), seed=5, split="train", flite_only=True)
    path = corpus.build_shard(config, 3)
    written = path.stat().st_mtime_ns
    assert corpus.build_shard(config, 3).stat().st_mtime_ns == written
    again = corpus.sample_utterance(np.random.default_rng((5, 3)), config, 6)
    first = next(iter(corpus.read_shard(path)))
    assert (first.text, first.voice) == (again.text, again.voice)
    assert np.abs(first.samples - again.samples).max() < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["00003.npz"]


def test_held_out_voices_never_speak_in_training():
    rng = np.random.default_rng(0)
    config = corpus.CorpusConfig(folder="", seed=0, split="train", flite_only=False)
    spoke = {corpus.sample_voice(rng, config).name for _ in range(2000)}
    assert not spoke & voices.HELD_OUT_VOICES
    assert len(spoke) > 50


def test_word_errors_count_edits_over_the_whole_set():
    assert distance("kitten", "sitting") == 3
    errors = word_errors([["a", "b"], ["c"]], [["a"], ["c", "d"]])
    assert (errors.edits, errors.reference) == (2, 3)


def _pitch(samples: np.ndarray) -> float:
    """The strongest period between 80 and 300 Hz, over the whole recording."""
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    echo = np.fft.irfft(power)
    lags = np.arange(SAMPLE_RATE // 300, SAMPLE_RATE // 80)
    return SAMPLE_RATE / lags[echo[lags].argmax()]
