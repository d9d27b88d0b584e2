"""Text that is to be drawn: which words a prompt quotes, their bytes, and their encoder."""

import logging
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mingle.errors import InputError, missing_extra
from mingle.nn.layers import RMSNorm
from mingle.painter.config import GlyphConfig

logger = logging.getLogger(__name__)

PAD, END, FIRST_BYTE = 0, 1, 3
QUOTES = (r'"(.*?)"', "\u2018(.*?)\u2019", "\u201c(.*?)\u201d")
REMOVAL_WORDS = ("remove", "delete", "erase")
BEFORE, BEHIND = 'Text "', '". '
MAX_SINGLE_QUOTED = 20  # longer than this between ' and ' is an apostrophe, not a quote


def glyph_text(prompt: str) -> str:
    """The last quoted span of a prompt, as the encoder was trained to read it; "" if none.

    Straight, curly single, then curly double quotes are collected, and the last span found wins. A
    single span that follows "remove", "delete" or "erase" is not drawn. (SPEC_GENERATION B1)
    """
    if _single_quotes_quote(prompt):
        prompt = prompt.replace("'", '"')
    spans = [span for pattern in QUOTES for span in re.findall(pattern, prompt)]
    if len(spans) == 1:
        opening = min(found for mark in '"\u2018\u201c' if (found := prompt.find(mark)) >= 0)
        before = prompt[:opening].lower()
        if any(word in before for word in REMOVAL_WORDS):
            return ""
    return quoted(spans[-1]) if spans else ""


def quoted(text: str) -> str:
    """Text to be drawn, in the words the encoder was trained on; "" stays ""."""
    return f"{BEFORE}{text}{BEHIND}" if text else ""


def in_capitals(prompt: str, glyphs: str) -> tuple[str, str]:
    """The same prompt, and what `quoted` or `glyph_text` made of it, with text in letters A to Z.

    Accents are taken off; what is no such letter is left out, spaces too, with a warning. What
    stands between the apostrophes of two words is no text. Raises InputError where no letter is
    left.
    """
    text = glyphs[len(BEFORE) : -len(BEHIND)]
    span = re.escape(text)
    marked = rf"[\"\u2018\u201c]{span}[\"\u2019\u201d]|(?<!\w)'{span}'(?!\w)"
    if f"'{text}'" in prompt and not re.search(marked, prompt):
        return prompt, ""
    plain = [c for c in unicodedata.normalize("NFKD", text).upper() if not unicodedata.combining(c)]
    letters = "".join(c for c in plain if "A" <= c <= "Z")
    if not letters:
        raise InputError(
            f"this model draws the letters A to Z, and the text to draw is '{text}'; give it such "
            "letters, or leave out the quotation marks"
        )
    if len(letters) < len(plain):
        logger.warning("this model draws the letters A to Z: of %r it draws %r", text, letters)
    return re.sub(marked, f'"{letters}"', prompt), quoted(letters)


def has_open_quote(prompt: str) -> bool:
    """Whether a quotation mark has no partner: the user may have wanted something drawn."""
    pairs = (("\u2018", "\u2019"), ("\u201c", "\u201d"))
    uneven = any(prompt.count(opening) != prompt.count(closing) for opening, closing in pairs)
    return prompt.count('"') % 2 == 1 or uneven


def _single_quotes_quote(prompt: str) -> bool:
    """Whether ' marks come in pairs with short spans between them; a CJK character counts 3."""
    pieces = prompt.split("'")
    if len(pieces) == 1 or len(pieces) % 2 == 0:
        return False
    weights = (sum(3 if "\u4e00" <= c <= "\u9fff" else 1 for c in span) for span in pieces[1::2])
    return all(weight < MAX_SINGLE_QUOTED for weight in weights)


def byte_ids(
    texts: Sequence[str], max_length: int
) -> tuple[Int[Tensor, "batch glyphs"], Int[Tensor, "batch glyphs"]]:
    """UTF-8 bytes of each text, closed by END and padded; and the mask of what is not padding.

    A text that does not fit is cut, with a warning. Special strings in a text are bytes too.
    """
    ids = torch.full((len(texts), max_length), PAD)
    for row, text in zip(ids, texts, strict=True):
        data = text.encode()
        if len(data) >= max_length:
            logger.warning(
                "text to draw has %d bytes, only the first %d are read", len(data), max_length - 1
            )
            data = data[: max_length - 1]
        row[: len(data) + 1] = torch.tensor([*(byte + FIRST_BYTE for byte in data), END])
    return ids, (ids != PAD).long()


class GlyphEncoder(nn.Module):
    """Bytes -> condition tokens: a T5 encoder, and a mapper of further T5 blocks.

    Texts stand padded, not packed: the transformer was trained to see the padding's zero rows.
    """

    def __init__(self, config: GlyphConfig, condition_dim: int):
        super().__init__()
        self.max_length = config.max_length
        self.encoder = _t5_stack(config, config.num_layers)
        self.mapper = _t5_stack(config, config.num_mapper_layers)
        del self.mapper.embed_tokens  # it is fed the encoder's states
        self.project = nn.Linear(config.dim, condition_dim)
        self.norm = RMSNorm(condition_dim, config.norm_eps)

    def forward(
        self, ids: Int[Tensor, "batch glyphs"], mask: Int[Tensor, "batch glyphs"]
    ) -> Float[Tensor, "batch glyphs condition_dim"]:
        hidden = self.encode(ids, mask)
        return self.map(hidden, mask) * mask[..., None]

    def encode(
        self, ids: Int[Tensor, "batch glyphs"], mask: Int[Tensor, "batch glyphs"]
    ) -> Float[Tensor, "batch glyphs dim"]:
        """The T5 encoder alone."""
        return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state

    def map(
        self, hidden: Float[Tensor, "batch glyphs dim"], mask: Int[Tensor, "batch glyphs"]
    ) -> Float[Tensor, "batch glyphs condition_dim"]:
        """The mapper alone; rows of padding are not zeroed yet."""
        mapped = self.mapper(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
        return self.norm(self.project(mapped))


def _t5_stack(config: GlyphConfig, num_layers: int) -> nn.Module:
    try:
        from transformers.models.t5.configuration_t5 import T5Config
        from transformers.models.t5.modeling_t5 import T5Stack
    except ImportError as error:
        raise missing_extra("image", "transformers") from error
    build: Any = T5Config  # takes more than it declares
    return T5Stack(
        build(
            vocab_size=config.vocab_size,
            d_model=config.dim,
            d_kv=config.head_dim,
            d_ff=config.inner_dim,
            num_layers=num_layers,
            num_heads=config.num_heads,
            relative_attention_num_buckets=config.num_buckets,
            relative_attention_max_distance=config.max_distance,
            dropout_rate=0.0,
            layer_norm_epsilon=config.norm_eps,
            feed_forward_proj=config.feed_forward,
            use_cache=False,
            is_encoder_decoder=False,
            attn_implementation="eager",  # the bias is added to the scores: no fused kernel
        )
    )
