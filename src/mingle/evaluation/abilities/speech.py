"""Speech: does a recogniser write down what the voice was given to say, and how fast is it?"""

import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, ratio
from mingle.evaluation.recogniser import NAME, Recogniser, words_of
from mingle.processing.words import distance
from mingle.worlds.sentences import normalise, sample_sentence, wordnet_examples

EVERYDAY, RARE = 100, 50  # sentences
COMMON_COUNT, RARE_COUNT = 15, 2  # how often a word stands in WordNet's examples
VOICES = 3  # take turns
SEED = 7


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """Word error rates over the first voices in turn, and seconds of work for one of sound."""
    everyday, rare = (
        sentences(effort.of(EVERYDAY), common=True),
        sentences(effort.of(RARE), common=False),
    )
    folder, judge = effort.folder("speech"), Recogniser()
    speech = assistant.speech
    names = list(speech.files.presets)[:VOICES]
    edits, counts, work, sound = [], [], [], []
    for number, text in enumerate([*everyday, *rare]):
        voice = speech.voice(names[number % len(names)])
        begun = time.process_time()
        chunks = list(speech.speaker.speak(text, voice=voice))
        work.append(time.process_time() - begun)
        rate = chunks[0].sample_rate_hz
        samples = np.concatenate([chunk.samples for chunk in chunks])
        sound.append(len(samples) / rate)
        wanted = words_of(text)
        edits.append(distance(wanted, words_of(judge.hear(samples))))
        counts.append(len(wanted))
        if folder is not None and number < 12:
            import soundfile

            soundfile.write(folder / f"{number:02d}_{voice.name}.wav", samples, rate)
    cut = len(everyday)
    return [
        _figure("word error rate, everyday words", edits[:cut], counts[:cut], 0.15, 0.05),
        _figure("word error rate, rare words", edits[cut:], counts[cut:], None, 0.15),
        _figure("processor seconds for a second of sound", work, sound, 0.5, None),
    ]


def sentences(count: int, *, common: bool) -> list[str]:
    """Held-out sentences: of everyday words only, or with at least one rare word."""
    known = Counter(word for line in wordnet_examples() for word in normalise(line).split())
    rng, found = np.random.default_rng(SEED), dict[str, None]()
    while len(found) < count:
        line = sample_sentence(rng, "held_out", phrase_share=0.0)
        rarest = min(known[word] for word in normalise(line).split())
        if rarest >= COMMON_COUNT if common else rarest <= RARE_COUNT:
            found[line] = None
    return list(found)


def _figure(
    name: str,
    tops: Sequence[float],
    bottoms: Sequence[float],
    bar: float | None,
    goal: float | None,
) -> Figure:
    value, low, high = ratio(tops, bottoms)
    return Figure(
        name=name,
        value=value,
        low=low,
        high=high,
        count=len(tops),
        better="lower",
        bar=bar,
        goal=goal,
    )


ABILITY = Ability(
    name="speech",
    title="Speech synthesis",
    parts=("talker",),
    data=f"{EVERYDAY} held-out sentences of everyday words, {RARE} with rare ones; judge: {NAME}",
    measure=measure,
)
