"""Saved contributions with known figures."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from emoact.causes.heads import HEADS
from emoact.causes.lens import LENS
from emoact.causes.patterns import FILE, PATTERNS, Form, PatternWriter
from emoact.causes.saved import SavedCause, cause_id, save_cause
from emoact.store.layout import ResultsRoot


def plant_heads(
    results: Path,
    emotion: str = "gratitude",
    *,
    model: str = "gpt2",
    random_weights: bool = False,
    version: int = HEADS.version,
) -> SavedCause:
    """Two layers of two heads: head 1.0 adds 60 % and is significant, head 0.1 subtracts 10 %."""
    contrasts = [
        ("embedding", None, None, 0.1, 1.0),
        ("head", 0, 0, 0.1, 0.4),
        ("head", 0, 1, -0.2, 0.2),
        ("mlp", 0, None, 0.4, 0.3),
        ("head", 1, 0, 1.2, 0.001),
        ("head", 1, 1, 0.1, 0.9),
        ("mlp", 1, None, 0.3, 0.06),
    ]
    components: list[dict[str, Any]] = [
        {
            "component": kind,
            "layer": layer,
            "head": head,
            "kv_group": None if head is None else 0,
            "contrast": contrast,
            "low": contrast - 0.1,
            "high": contrast + 0.1,
            "chance": 0.02,
            "p": p,
        }
        for kind, layer, head, contrast, p in contrasts
    ]
    found = {
        "model": model,
        "emotion": emotion,
        "neutral": "neutral",
        "target": {"site": "resid_pre", "layer": 2, "pooling": "mean_content"},
        "n_prompts": 20,
        "random_weights": random_weights,
        "direction_norm": 2.0,
        "total": 2.0,
        "gap": 1e-7,
        "n_permutations": 2000,
        "components": components,
        "by_layer": [
            {"component": kind, "layer": layer, "sum": total, "low": total - 0.2, "high": total + 1}
            for kind, layer, total in (
                ("embedding", None, 0.1),
                ("head", 0, -0.1),
                ("head", 1, 1.3),
                ("mlp", 0, 0.4),
                ("mlp", 1, 0.3),
            )
        ],
        "by_prompt": {
            "emotion": [emotion, emotion, "neutral"],
            "prompt": [f"{emotion}-0", f"{emotion}-1", "neutral-0"],
            "projection": [2.5, 2.0, 0.25],
            "contributions": {"head 1.0": [1.5, 1.1, 0.1], "MLP 0": [0.6, 0.4, 0.1]},
        },
    }
    settings = {"neutral": "neutral", "n_permutations": 2000, "n_bootstrap": 1000, "seed": 0}
    rests_on = {
        "method_version": version,
        "emotion": emotion,
        "folder": model,
        "settings": settings,
    }
    return save_cause(ResultsRoot(results), "heads", rests_on, found)


def plant_lens(results: Path, emotion: str = "gratitude", *, model: str = "gpt2") -> SavedCause:
    """The logit lens of the direction that `plant_heads` takes apart: not above random."""
    tokens = [
        {
            "side": side,
            "rank": rank,
            "token": token,
            "token_id": 10 * rank,
            "logit": sign * (3.0 - rank),
            "random_95": sign * 3.5,
        }
        for side, sign, texts in (("raised", 1, (" thanks", "<b>")), ("lowered", -1, (" no", "\n")))
        for rank, token in enumerate(texts, 1)
    ]
    found = {
        "model": model,
        "emotion": emotion,
        "neutral": "neutral",
        "target": {"site": "resid_pre", "layer": 2, "pooling": "mean_content"},
        "random_weights": False,
        "direction_norm": 2.0,
        "n_random": 100,
        "tokens": tokens,
        "p_raised": 0.3,
        "p_lowered": 0.01,
        "above_random": {"raised": False, "lowered": True},
    }
    rests_on = {"method_version": LENS.version, "emotion": emotion, "folder": model}
    return save_cause(ResultsRoot(results), "lens", rests_on, found)


def plant_patterns(results: Path, *, model: str = "gpt2", form: Form = "triangles") -> SavedCause:
    """Patterns of two prompts in a model of two layers and two heads.

    Head 0 reads all positions alike, head 1 the position before.
    """
    lengths = (4, 12)
    rests_on = {"method_version": PATTERNS.version, "folder": model, "form": form}
    folder = ResultsRoot(results).causes_dir(cause_id("attention", rests_on))
    folder.mkdir(parents=True)
    with (folder / FILE).open("wb") as file:
        writer = PatternWriter(file, form)
        for sample, n in enumerate(lengths):
            alike = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
            before = np.eye(n, k=-1)
            before[0, 0] = 1
            writer.add(sample, np.stack([np.stack([alike, before])] * 2))
        writer.close()
    found = {
        "model": model,
        "emotion": "anger",
        "form": form,
        "n_prompts": 2,
        "n_layers": 2,
        "n_heads": 2,
        "random_weights": False,
        "size": (folder / FILE).stat().st_size,
        "sha256": hashlib.sha256((folder / FILE).read_bytes()).hexdigest(),
        "names": ["short", "long"],
        "strings": [["<s>", *(f" w{i}" for i in range(1, n))] for n in lengths],
        "content": [[1, n] for n in lengths],
        "heads": [
            {"layer": layer, "head": head, "entropy": 1.0, "first_mass": 0.4, "previous_mass": 0.4}
            for layer in (0, 1)
            for head in (0, 1)
        ],
    }
    return save_cause(ResultsRoot(results), "attention", rests_on, found)
