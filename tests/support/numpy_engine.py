"""A seeded numpy stand-in for a model, behind the same seam, runs and store as the real ones.

`stand_in_model` makes a folder that resolves as a local model without any weights worth the name.
What the engine does beside computing is read from `stand_in.json` in that folder, so that a test
can change it between two attempts of one run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from emoact.errors import EmoactError
from emoact.extraction.engine import EngineFacts, EngineRequest, OnPass, Put, Tokenised, untold
from emoact.models.source import ModelSource, OnStep
from emoact.schema import ExtractionOptions

N_LAYERS, D_MODEL, N_HEADS, D_VOCAB, CONTEXT = 2, 4, 2, 1000, 64


def stand_in_model(folder: Path, **behaviour: Any) -> Path:
    """A folder that resolves as a local model.

    `pass_s` and `load_s` are seconds of sleep, `deaf_s` those at the first pass without looking up;
    `fail` and `crash` are messages of that pass, `die` kills there; no pass is made without `gate`.
    """
    folder.mkdir(parents=True)
    config = {
        "model_type": "gpt2",
        "n_layer": N_LAYERS,
        "n_embd": D_MODEL,
        "n_head": N_HEADS,
        "vocab_size": D_VOCAB,
        "n_positions": CONTEXT,
    }
    (folder / "config.json").write_text(json.dumps(config))
    content = {"name": np.frombuffer(folder.name.encode(), dtype=np.uint8)}
    save_file(content, folder / "model.safetensors")
    behave(folder, **behaviour)
    return folder


def behave(folder: Path, **behaviour: Any) -> None:
    """Change what the engine of a stand-in model does beside computing."""
    (folder / "stand_in.json").write_text(json.dumps(behaviour))


class NumpyEngine:
    """Activations that are a fixed function of the tokens."""

    def __init__(self, source: ModelSource, options: ExtractionOptions, plan: Mapping[str, Any]):
        assert source.path is not None
        self._source = source
        self._options = options
        self._behaviour = json.loads((source.path / "stand_in.json").read_text())
        self._seed = int.from_bytes(hashlib.sha256(source.folder.encode()).digest()[:4], "big")
        self.facts = EngineFacts(
            n_layers=N_LAYERS,
            d_model=D_MODEL,
            d_vocab=D_VOCAB,
            n_heads=N_HEADS,
            bos={"policy": options.bos, "prepended": True, "token": "<s>", "token_id": 0},
            device="cpu",
            plan=plan,
            self_check={},
            versions={"numpy": np.__version__},
        )

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        return [self._tokenised(text) for text in texts]

    def generate(
        self, prompts: Sequence[Tokenised], *, on_pass: OnPass = untold
    ) -> list[Tokenised]:
        """Each prompt is followed by its second token, once."""
        generation = self._options.generation
        assert generation is not None
        found = []
        for prompt in prompts:
            on_pass(1, 0)
            length = len(prompt.ids)
            found.append(
                dataclasses.replace(
                    prompt,
                    ids=np.concatenate([prompt.ids, prompt.ids[1:2]]),
                    strings=(*prompt.strings, prompt.strings[1]),
                    full_length=length + 1,
                    span=prompt.content,
                    response=(length, length + 1),
                    response_text=prompt.strings[1],
                )
            )
        return found

    def again(self, request: EngineRequest, on_step: OnStep) -> NumpyEngine:
        on_step("self_check", detail=f"{len(request.texts)} texts")
        return NumpyEngine(self._source, request.options, request.frozen or _new_plan())

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass = untold) -> float:
        self._misbehave()
        gate = Path(self._behaviour.get("gate", "/"))
        while not gate.exists():
            on_pass(0, 0)
            time.sleep(0.01)
        for sample, prompt in enumerate(prompts):
            time.sleep(self._behaviour.get("pass_s", 0))
            for number, site in enumerate(self._options.sites):
                for layer in range(N_LAYERS - 1 if site == "resid_post" else 0, N_LAYERS):
                    rows = self._rows(prompt, number, layer)
                    if site == "pattern":
                        rows = np.abs(np.broadcast_to(rows[:, 0], (N_HEADS, len(rows), len(rows))))
                    put(site, layer, sample, rows)
            on_pass(1, len(prompt.ids))
        return 0.0

    def _tokenised(self, text: str) -> Tokenised:
        words = text.split()[: CONTEXT - 1]
        ids = [
            1 + int.from_bytes(hashlib.sha256(w.encode()).digest()[:2], "big") % 900 for w in words
        ]
        return Tokenised(
            ids=np.array([0, *ids], dtype=np.int64),
            strings=("<s>", *words),
            content_start=1,
            full_length=1 + len(text.split()),
        )

    def _rows(self, prompt: Tokenised, number: int, layer: int) -> np.ndarray:
        rows = [
            np.random.default_rng([self._seed, number, layer, position, int(token)])
            .standard_normal(D_MODEL)
            .astype(np.float32)
            for position, token in enumerate(prompt.ids)
        ]
        return np.stack(rows)

    def _misbehave(self) -> None:
        behaviour = self._behaviour
        if "fail" in behaviour:
            raise EmoactError(behaviour["fail"], remedy="Try another model.")
        if "crash" in behaviour:
            raise ZeroDivisionError(behaviour["crash"])
        if behaviour.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        deadline = time.monotonic() + behaviour.get("deaf_s", 0)
        while time.monotonic() < deadline:
            time.sleep(0.01)


def numpy_engine(request: EngineRequest, on_step: OnStep) -> NumpyEngine:
    """The stand-in's `EngineFor`; its plan says how often it was chosen anew."""
    source = request.source
    assert source.path is not None
    on_step("load", detail="loading the stand-in")
    behaviour = json.loads((source.path / "stand_in.json").read_text())
    deadline = time.monotonic() + behaviour.get("load_s", 0)
    while time.monotonic() < deadline:
        time.sleep(0.01)
    return NumpyEngine(source, request.options, request.frozen or _new_plan())


def _new_plan() -> dict[str, Any]:
    return {"plan": "numpy", "chosen_at": time.time_ns(), "threads": 1}
