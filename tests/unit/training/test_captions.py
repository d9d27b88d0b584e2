"""What the thinker makes of texts: read in groups behind a shared opening, and kept on disk."""

import numpy as np
import pytest
import torch
from miniature.tiny import tiny_thinker

from mingle.messages import Modality
from mingle.nn.attention import Packed
from mingle.processing.inputs import Prompt
from mingle.thinker.positions import position_ids
from mingle.training.captions import Library, Reader

OPENING = [3, 1, 4, 1, 5]


class Letters:
    """A processor whose prompt is a fixed opening and one token a letter."""

    def prepare(self, request):
        text = request.messages[0].parts[0].text
        ids = np.array([*OPENING, *(ord(letter) % 40 for letter in text)])
        return Prompt(ids=ids, spans=(), images=(), frames=(), recordings=())


@pytest.fixture(scope="module")
def reader():
    return Reader(tiny_thinker().eval(), Letters(), skip_rows=len(OPENING))


@torch.no_grad()
def alone(reader: Reader, text: str):
    """The states of a whole prompt, read by itself."""
    ids = torch.from_numpy(reader._ids(text))
    where = position_ids(len(ids), (), axes=reader.thinker.config.rope.axes).ids
    modality = torch.full((len(ids),), Modality.TEXT)
    embedded = reader.thinker.embed_tokens(ids)
    return reader.thinker(embedded, where, modality, Packed([len(ids)]))[0][len(OPENING) :]


def test_texts_read_together_equal_texts_read_alone(reader):
    texts = ["cat", "dog", "a cup", "dog", "x"]
    rows = reader.read(texts)
    assert set(rows) == set(texts)
    for text in texts:
        torch.testing.assert_close(rows[text], alone(reader, text), rtol=1e-4, atol=1e-5)


def test_a_shard_is_read_once_and_then_comes_from_disk(reader, tmp_path):
    opened = []

    def open_reader():
        opened.append(1)
        return reader

    def library():
        return Library(tmp_path, open_reader, lambda shard: [f"cat {shard}", "dog"])

    first = library()
    fresh = first.rows(0, "dog")
    first.rows(1, "dog")
    again = library().rows(0, "dog")
    assert len(opened) == 1
    torch.testing.assert_close(again, fresh, rtol=0, atol=0)
    torch.testing.assert_close(fresh.float(), alone(reader, "dog"), rtol=2e-3, atol=2e-3)  # fp16


def test_other_texts_are_another_shard(reader, tmp_path):
    Library(tmp_path, lambda: reader, lambda shard: ["cat"]).rows(0, "cat")
    rows = Library(tmp_path, lambda: reader, lambda shard: ["dog"]).rows(0, "dog")
    torch.testing.assert_close(rows.float(), alone(reader, "dog"), rtol=2e-3, atol=2e-3)
