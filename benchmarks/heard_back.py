"""How much of what a voice in training said is understood: the word error rate of its samples.

`python benchmarks/heard_back.py RUN/samples/step-00001000 ...`: each folder has `sentences.txt`,
`sentence_00.wav` and so on, as the tasks `talker` and `prompted_talker` write them when they are
evaluated. Whisper tiny.en's own decoder listens. One line of JSON for each folder.
"""

import argparse
import json
from pathlib import Path

import soundfile
import soxr

from mingle.evaluation.abilities.figure import ratio
from mingle.evaluation.recogniser import NAME, Recogniser, words_of
from mingle.processing.words import distance
from mingle.worlds.sentences import normalise

RATE_HZ = 16_000


def main(folders: list[Path]) -> None:
    """Listen to every sentence of every folder."""
    judge = Recogniser()
    for folder in folders:
        wanted = [
            normalise(line).split()
            for line in (folder / "sentences.txt").read_text(encoding="utf-8").splitlines()
        ]
        heard = []
        for i in range(len(wanted)):
            wave, rate = soundfile.read(folder / f"sentence_{i:02d}.wav", dtype="float32")
            heard.append(words_of(judge.hear(soxr.resample(wave, rate, RATE_HZ))))
        wrong = [distance(said, got) for said, got in zip(wanted, heard, strict=True)]
        value, low, high = ratio(wrong, [len(said) for said in wanted])
        facts = {"folder": str(folder), "wer": value, "low": low, "high": high, "judge": NAME}
        pairs = [
            f"{' '.join(a)} -> {' '.join(b)}" for a, b in zip(wanted[:4], heard[:4], strict=True)
        ]
        print(json.dumps(facts | {"sentences": len(wanted), "examples": pairs}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="samples of an evaluation")
    chosen = parser.parse_args().folders
    for one in chosen:
        if not (one / "sentences.txt").is_file():
            parser.error(f"{one} has no sentences.txt; give a folder that an evaluation wrote")
    main(chosen)
