"""A tokenizer of single bytes, which needs neither training nor transformers."""

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers


def byte_tokenizer(normalizer: Any = None) -> Tokenizer:
    """One token for every byte of a text, which `normalizer` may change before."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: n for n, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer
