"""Keys and values that a request has computed, one growing buffer per layer."""

from jaxtyping import Float
from torch import Tensor

BLOCK = 64  # tokens; buffers grow by a quarter, rounded up to this: a short chat takes little


class KVCache:
    """The keys and values of one request: one sequence, never shared with another.

    `length` counts tokens whose keys are stored in every layer. During a forward pass each layer
    appends; `commit` moves `length` on once, after the last layer, so a pass that is cancelled
    half way leaves the cache as it was.
    """

    def __init__(self, num_layers: int):
        self.length = 0
        self._keys: list[Tensor | None] = [None] * num_layers
        self._values: list[Tensor | None] = [None] * num_layers

    def append(
        self,
        layer: int,
        keys: Float[Tensor, "new kv_heads head_dim"],
        values: Float[Tensor, "new kv_heads head_dim"],
    ) -> tuple[Float[Tensor, "kv_heads total head_dim"], Float[Tensor, "kv_heads total head_dim"]]:
        """Store the new rows of one layer behind `length`; return all rows up to and with them."""
        end = self.length + keys.shape[0]
        stored_keys = self._room(self._keys, layer, end, keys)
        stored_values = self._room(self._values, layer, end, values)
        stored_keys[:, self.length : end] = keys.transpose(0, 1)
        stored_values[:, self.length : end] = values.transpose(0, 1)
        return stored_keys[:, :end], stored_values[:, :end]

    def read(
        self, layer: int
    ) -> tuple[
        Float[Tensor, "kv_heads length head_dim"], Float[Tensor, "kv_heads length head_dim"]
    ]:
        """The rows of one layer that are counted in `length`, of which there must be some."""
        keys, values = self._keys[layer], self._values[layer]
        assert keys is not None, "nothing was stored yet"
        assert values is not None
        return keys[:, : self.length], values[:, : self.length]

    def commit(self, new_tokens: int) -> None:
        """Count the rows that every layer has appended."""
        self.length += new_tokens

    def truncate(self, length: int) -> None:
        """Forget everything from token `length` on (interruption, reuse of a shared prefix)."""
        assert 0 <= length <= self.length, (length, self.length)
        self.length = length

    def fork(self, length: int) -> "KVCache":
        """Copy the first `length` tokens into a cache of their own."""
        assert 0 <= length <= self.length, (length, self.length)
        copy = KVCache(len(self._keys))
        copy._keys = [None if t is None else t[:, :length].clone() for t in self._keys]
        copy._values = [None if t is None else t[:, :length].clone() for t in self._values]
        copy.length = length
        return copy

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes."""
        return sum(t.nbytes for t in (*self._keys, *self._values) if t is not None)

    def _room(self, store: list[Tensor | None], layer: int, end: int, like: Tensor) -> Tensor:
        held = store[layer]
        if held is not None and held.shape[1] >= end:
            return held
        capacity = max(end, 0 if held is None else held.shape[1] * 5 // 4)
        capacity = -(-capacity // BLOCK) * BLOCK
        grown = like.new_empty(like.shape[1], capacity, like.shape[2])
        if held is not None:
            grown[:, : self.length] = held[:, : self.length]
        store[layer] = grown
        return grown


def empty_caches(num_sequences: int, num_layers: int) -> list[KVCache]:
    """One fresh cache for each sequence of a batch."""
    return [KVCache(num_layers) for _ in range(num_sequences)]
