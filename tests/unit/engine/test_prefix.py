"""Prefix reuse: what counts as the same beginning, and what is kept."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mingle.engine.prefix import Memory, PrefixStore, content_keys, shared_length, tail
from mingle.messages import Span
from mingle.nn.cache import KVCache
from mingle.processing.inputs import Patches, Prompt


def prompt(text: str) -> Prompt:
    """Letters are text; a digit d is a picture of four tokens whose values are all d."""
    ids, spans, images = [], [], []
    for letter in text:
        if letter.isdigit():
            spans.append(Span(start=len(ids), length=4, kind="image", item=len(images)))
            ids += [7] * 4
            images.append(
                Patches(values=np.full((16, 2), float(letter), np.float32), grid=(1, 4, 4))
            )
        else:
            ids.append(ord(letter))
    return Prompt(ids=np.array(ids, np.int64), spans=tuple(spans), images=tuple(images))


def keys(text: str) -> np.ndarray:
    return content_keys(prompt(text))


def memory(text: str) -> Memory:
    cache = KVCache(1)
    count = len(keys(text))
    rows = torch.arange(count)[:, None, None].float()
    cache.append(0, rows, rows)
    cache.commit(count)
    return Memory(keys=keys(text), positions=np.arange(count + 1), cache=cache)


def test_the_same_picture_is_the_same_and_another_is_not():
    assert shared_length(keys("ab1cd"), keys("ab1ce")) == 7
    assert shared_length(keys("ab1cd"), keys("ab2cd")) == 1  # b is read again: it opens the picture


def test_one_token_is_always_left():
    assert shared_length(keys("abc"), keys("abc")) == 2
    assert shared_length(keys("ab1"), keys("ab1")) == 1


@given(st.text("ab12", min_size=1, max_size=8), st.text("ab12", min_size=1, max_size=8))
def test_a_shared_prefix_is_equal_and_cuts_no_picture(old, new):
    length = shared_length(keys(old), keys(new))
    assert length < len(keys(new))
    assert (keys(old)[:length] == keys(new)[:length]).all()
    assert length == 0 or all(
        not span.start <= length < span.start + span.length
        for text in (old, new)
        for span in prompt(text).spans
    )


@given(st.text("ab12", min_size=1, max_size=8))
def test_head_and_tail_are_the_whole(text):
    whole = prompt(text)
    for start in range(len(whole.ids)):
        if any(span.start < start < span.start + span.length for span in whole.spans):
            continue
        rest = tail(whole, start)
        assert (content_keys(rest) == content_keys(whole)[start:]).all()
        assert len(rest.images) == len(rest.spans)


def test_a_memory_used_whole_is_handed_over_and_a_part_is_copied():
    store = PrefixStore(10**9)
    store.keep(memory("abcd"))
    copied = store.take(keys("abxy"))
    assert copied is not None
    assert copied.cache.length == 2
    assert copied.positions.tolist() == [0, 1, 2]
    whole = store.take(keys("abcde"))
    assert whole is not None
    assert whole.cache.length == 4
    assert store.num_bytes == 0
    assert whole.cache is not copied.cache


def test_the_longest_prefix_is_taken():
    store = PrefixStore(10**9)
    for text in ("ab", "abcd", "abc1", "x"):
        store.keep(memory(text))
    found = store.take(keys("abcde"))
    assert found is not None
    assert found.cache.length == 4


def test_a_memory_that_goes_further_replaces_the_one_it_began_with():
    store = PrefixStore(10**9)
    store.keep(memory("abc"))
    size = store.num_bytes
    store.keep(memory("abcd"))
    assert store.num_bytes == size  # both take one block


def test_the_least_recently_used_goes_first():
    store = PrefixStore(2 * memory("abc").cache.num_bytes)
    store.keep(memory("abc"))
    store.keep(memory("xyz"))
    assert store.take(keys("abq")) is not None  # used: now xyz is the oldest
    store.keep(memory("uvw"))
    assert store.take(keys("xyq")) is None
    assert store.take(keys("abq")) is not None


def test_nothing_shared_is_nothing_taken():
    store = PrefixStore(10**9)
    store.keep(memory("abc"))
    assert store.take(keys("xbc")) is None


def test_what_was_read_ahead_goes_on_without_a_copy():
    store = PrefixStore(max_bytes=10**9)
    ahead = memory("ab1xyz")
    ahead.ahead = True
    store.keep(ahead)
    found = store.take(keys("ab1cd"))
    assert found is not None
    assert found.cache is ahead.cache
    assert found.cache.length == len(found.keys) == 6
    assert store.num_bytes == 0
    store.keep(memory("ab1xyz"))  # an answer's memory stays: others may begin as it does
    found = store.take(keys("ab1cd"))
    assert store.num_bytes > 0
