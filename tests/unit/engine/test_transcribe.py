"""Transcribing long recordings, with an engine that only says how long a piece is."""

import numpy as np
import pytest
from miniature import write_miniature

from mingle.checkpoints.load import open_model
from mingle.engine.engine import Engine
from mingle.engine.scheduler import Limits
from mingle.engine.transcribe import Hints, join_texts, segments, transcript
from mingle.messages import Finished, TextDelta, Usage
from mingle.processing.inputs import Processor

RATE = 16_000


class ScribeEngine(Engine):
    """Answers each piece with a language and the piece's whole seconds."""

    def __init__(self, language: str):
        self.limits = Limits(max_requests=2)
        self.language = language
        self.listener = None
        self.requests = []

    def submit(self, request):
        self.requests.append(request)
        _, audio = request.messages[0].parts
        answer = f"{int(audio.source.seconds)} seconds"
        if not request.prefill:
            answer = f"{self.language}\t{answer}"
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        return FakeStream([TextDelta(text=answer), Finished(reason="stop", usage=usage)])


class FakeStream(list):
    def cancel(self):
        raise AssertionError("everything was read")


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Processor:
    folder = tmp_path_factory.mktemp("miniature") / "model"
    return open_model(write_miniature(folder, ("thinker",))).processor()


def talk(*parts: tuple[bool, float]) -> tuple[np.ndarray, int]:
    noise = np.random.default_rng(0)
    pieces = [0.1 * speaks * noise.standard_normal(int(s * RATE)) for speaks, s in parts]
    return np.concatenate(pieces).astype(np.float32), RATE


LONG = talk((True, 25), (False, 5), (True, 20), (False, 12), (True, 8))


def test_a_long_recording_comes_in_segments_at_their_times(processor):
    engine = ScribeEngine("English")
    said = list(segments(engine, processor, LONG, Hints()))
    assert [(s.start, s.end) for s in said] == [
        (0.0, pytest.approx(25.2, abs=0.05)),
        (pytest.approx(29.8, abs=0.05), pytest.approx(50.2, abs=0.05)),
        (pytest.approx(61.8, abs=0.05), 70.0),
    ]
    whole = transcript(said, Hints(), processor)
    assert whole.text == "25 seconds 20 seconds 8 seconds"
    assert (whole.language, whole.dialect) == ("en", "")


def test_a_language_that_has_no_code_is_a_dialect(processor):
    engine = ScribeEngine("\u4e0a\u6d77")
    said = list(segments(engine, processor, LONG, Hints()))
    assert transcript(said, Hints(), processor).dialect == "\u4e0a\u6d77"


def test_hints_go_into_every_request(processor):
    engine = ScribeEngine("English")
    hints = Hints(language="zh", dialect="\u4e0a\u6d77", context="ships", hotwords=("Ming", "omni"))
    said = list(segments(engine, processor, LONG, hints))
    for request in engine.requests:
        assert request.prefill == "\u4e0a\u6d77\t"
        question = request.messages[0].parts[0].text
        assert "ships" in question
        assert "Ming,omni" in question
    whole = transcript(said, hints, processor)
    assert (whole.language, whole.dialect) == ("zh", "\u4e0a\u6d77")


def test_an_answer_cannot_be_longer_than_anybody_speaks(processor):
    engine = ScribeEngine("English")
    list(segments(engine, processor, talk((True, 2)), Hints()))
    assert [request.max_new_tokens for request in engine.requests] == [32 + 30]


def test_texts_join_with_spaces_where_words_have_them():
    assert join_texts(["one two.", "", "three"]) == "one two. three"
    assert join_texts(["\u4f60\u597d\u3002", "\u4e16\u754c"]) == "\u4f60\u597d\u3002\u4e16\u754c"
