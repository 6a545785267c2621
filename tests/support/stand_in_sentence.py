"""A host whose model is made of arithmetic: `python -m tests.support.stand_in_sentence ...`.

Some sentences make it fail, die, or take its time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from unittest import mock

import numpy as np

from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import EngineFacts, EngineRequest, OnPass, Put, Tokenised, untold
from emoact.host.worker import main
from emoact.jobs.attempt import leave
from emoact.models import alike
from emoact.models.source import ModelSource, OnStep
from emoact.schema import ExtractionOptions

WORKER = (sys.executable, "-P", "-m", "tests.support.stand_in_sentence")
N_LAYERS, D_MODEL = 4, 12


def installed(folder: str = "gpt2", commit: str | None = "main") -> ModelSource:
    """A hub model that counts as installed."""
    return ModelSource(
        name=folder,
        model_name=folder,
        kind="hub",
        folder=folder,
        revision="main",
        commit=commit,
        weight_source="Hugging Face hub",
    )


class StandIn:
    """Every word is a token; its only dimension that is not 0 is its length."""

    def __init__(self, options: ExtractionOptions) -> None:
        self._options = options
        self.facts = EngineFacts(
            n_layers=N_LAYERS,
            d_model=D_MODEL,
            d_vocab=50257,
            n_heads=2,
            bos={"prepended": True, "token": "<|endoftext|>", "token_id": 50256},
            device="cpu",
            plan={},
            self_check={},
        )

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        return [_tokenised(text.split()) for text in texts]

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass = untold) -> float:
        for number, prompt in enumerate(prompts):
            _misbehave(prompt.strings)
            rows = np.zeros((len(prompt.strings), D_MODEL), dtype=np.float32)
            rows[:, 0] = [1, *map(len, prompt.strings[1:])]
            for site in self._options.sites:
                for layer in range(N_LAYERS):
                    put(site, layer, number, _even(len(rows)) if site == "pattern" else rows)
            on_pass(1, len(prompt.strings))
        return 0.0

    def generate(
        self, prompts: Sequence[Tokenised], *, on_pass: OnPass = untold
    ) -> list[Tokenised]:
        raise AssertionError("a typed sentence has no response")

    def again(self, request: EngineRequest, on_step: OnStep) -> StandIn:
        return StandIn(request.options)


def _even(n: int) -> np.ndarray:
    """Patterns of two heads that read all positions alike, and the position before."""
    alike = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    before = np.eye(n, k=-1)
    before[0, 0] = 1
    return np.stack([alike, before]).astype(np.float32)


def _tokenised(words: list[str]) -> Tokenised:
    return Tokenised(
        ids=np.arange(1 + len(words)),
        strings=("<|endoftext|>", *words),
        content_start=1,
        full_length=1 + len(words),
    )


def _misbehave(words: Sequence[str]) -> None:
    if "die" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    if "refuse" in words:
        raise RequestError("the text has too many tokens", remedy="Shorten it.")
    if "fail" in words:
        raise ZeroDivisionError("division by zero")
    if "slowly" in words:
        time.sleep(0.4)


def engine_for(request: EngineRequest, on_step: OnStep) -> StandIn:
    """The stand-in; a folder called broken cannot be loaded."""
    if request.source.folder == "broken":
        raise EmoactError("the weights are gone", remedy="Install them again.")
    return StandIn(request.options)


if __name__ == "__main__":
    loading = json.loads(sys.argv[sys.argv.index("--loading") + 1])
    found = installed(loading["folder"], loading["commit"])
    with mock.patch.object(alike, "resolve_model", return_value=found):
        leave(main(engine_for=engine_for, program=WORKER[-1]))
