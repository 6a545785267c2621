"""How many tokens each text has for a model, without loading the model or torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError, RequestError


def count_tokens(tokenizer_json: Path, texts: Sequence[str]) -> Int64[np.ndarray, "prompt"]:
    """Tokens of every text, without the tokens that a model adds around it (such as BOS).

    Texts are never cut, whatever the file says about truncation and padding.

    Args:
        tokenizer_json: The `tokenizer.json` of a model's folder.
        texts: The texts; of none the result is empty.

    Raises:
        RequestError: There is no such file.
        EmoactError: The file is no tokenizer.
    """
    from tokenizers import Tokenizer

    if not tokenizer_json.is_file():
        raise RequestError(
            f"{tokenizer_json}: there is no such file, so tokens cannot be counted",
            remedy="Install the model first; its folder holds tokenizer.json.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_json))
    except Exception as error:  # the package raises nothing more precise
        raise EmoactError(
            f"{tokenizer_json}: this is no tokenizer that can be read ({str(error)[:120]})",
            remedy="Install the model again.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(encoding) for encoding in encodings], dtype=np.int64)
