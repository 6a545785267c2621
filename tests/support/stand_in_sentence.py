"""A worker whose model is made of arithmetic: `python -m tests.support.stand_in_sentence DIR`.

Some sentences make it fail, die, or take its time.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import numpy as np

from emoact.errors import EmoactError, RequestError
from emoact.host.request import SentenceRequest
from emoact.host.worker import Model, main

IDLE_S = float(os.environ.get("STAND_IN_IDLE_S", "30"))


class StandIn:
    """Every word is a token; its norm is its length."""

    def __init__(self, request: SentenceRequest) -> None:
        self._request = request

    def look(self, text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        words = text.split()
        if "die" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "refuse" in words:
            raise RequestError("the text has too many tokens", remedy="Shorten it.")
        if "fail" in words:
            raise ZeroDivisionError("division by zero")
        if "slowly" in words:
            time.sleep(0.4)
        norms = np.array([[1.0, *map(len, words)]] * 4, dtype=np.float64)
        arrays = {
            f"{site}.{name}": norms for site in self._request.options.sites for name in ("l2", "l1")
        }
        for site in self._request.options.sites:
            arrays[f"{site}.pooled"] = np.full((4, 12), len(words), dtype=np.float32)
        return {
            "token_strings": ["<|endoftext|>", *words],
            "content_start": 1,
            "bos": {"prepended": True, "token": "<|endoftext|>", "token_id": 50256},
            "random_weights": False,
            "pid": os.getpid(),
        }, arrays


def load(request: SentenceRequest) -> Model:
    """The stand-in; a folder called broken cannot be loaded."""
    if request.folder == "broken":
        raise EmoactError("the weights are gone", remedy="Install them again.")
    return StandIn(request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], load=load, idle_s=IDLE_S))
