"""`tokenizer.json` of a model: opened without the model or torch, and the tokens of texts counted.

The package that reads it can take much memory on a hostile file, or abort its process. A file is
therefore first read in a process with limits, once for each content.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from emoact.child import ask
from emoact.errors import EmoactError, RequestError
from emoact.models.cache import cache_root, file_sha256, is_remembered, remember

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LARGEST = 200_000_000
_MEMORY = 2 << 30
_AGAIN = "Install the model again."
_PROBE = "Thank you, Zoë! 12 €, ありがとう 🙂"


def check_tokenizer(path: Path) -> None:
    """Have a process with limits read a tokenizer before this one does, once for each content.

    A tokenizer that emoact made itself from a GGUF file is not read twice.

    Raises:
        EmoactError: It is missing, no regular file, too large, or no tokenizer.
    """
    content = file_sha256(path)
    own = path.resolve().is_relative_to((cache_root() / "models").resolve())
    if own or is_remembered("tokenizers", content):
        return
    if path.stat().st_size > _LARGEST:
        raise _refused(path, f"more than {_LARGEST:,} bytes")
    try:
        ask("emoact.models.tokenizer_file:size_of", os.fspath(path), memory=_MEMORY)
    except RequestError as error:
        raise _refused(path, error.message) from error
    remember("tokenizers", content)


def size_of(path: str) -> int:
    """Tokens of a vocabulary that has encoded a text; called in a process with limits."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    for special in (True, False):
        tokenizer.decode(tokenizer.encode(_PROBE, add_special_tokens=special).ids)
    size: int = tokenizer.get_vocab_size()
    return size


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file, with its truncation and padding switched off.

    Raises:
        EmoactError: It is missing, no regular file, too large, or no tokenizer.
    """
    check_tokenizer(path)
    from tokenizers import Tokenizer

    with refusing(path):
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what the package raises over a file into a refusal.

    Raises:
        EmoactError: Something was raised.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    # Its panics are no `Exception`.
    except BaseException as error:
        raise _refused(path, str(error)) from error


def count_tokens(tokenizer_json: Path, texts: Sequence[str]) -> Int64[np.ndarray, "prompt"]:
    """Number of tokens of every text, without special tokens such as BOS.

    Raises:
        RequestError: There is no such file.
        EmoactError: The file is not a tokenizer.
    """
    if not tokenizer_json.is_file():
        raise RequestError(
            f"{tokenizer_json}: there is no such file, so tokens cannot be counted",
            remedy="Install the model first; its folder holds tokenizer.json.",
        )
    tokenizer = open_tokenizer(tokenizer_json)
    with refusing(tokenizer_json):
        encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(encoding) for encoding in encodings], dtype=np.int64)


def _refused(path: Path, why: str) -> EmoactError:
    return EmoactError(f"{path}: this is not a readable tokenizer ({why:.200})", remedy=_AGAIN)
