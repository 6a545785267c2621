"""Token counts of texts for a model, without loading the model or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError, RequestError


def count_tokens(tokenizer_json: Path, texts: Sequence[str]) -> Int64[np.ndarray, "prompt"]:
    """Number of tokens of every text, without special tokens such as BOS.

    The truncation and padding of the file are switched off.

    Args:
        tokenizer_json: `tokenizer.json` of a model's folder.
        texts: Texts; without texts the result is empty.

    Raises:
        RequestError: There is no such file.
        EmoactError: The file is not a tokenizer.
    """
    from tokenizers import Tokenizer

    if not tokenizer_json.is_file():
        raise RequestError(
            f"{tokenizer_json}: there is no such file, so tokens cannot be counted",
            remedy="Install the model first; its folder holds tokenizer.json.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_json))
    except Exception as error:  # the package raises no narrower type
        raise EmoactError(
            f"{tokenizer_json}: this is not a readable tokenizer ({str(error)[:120]})",
            remedy="Install the model again.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(encoding) for encoding in encodings], dtype=np.int64)
