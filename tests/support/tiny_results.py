"""Activations of a tiny Llama that a process of its own has extracted, for the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emoact.cli import main
from tests.support.families import tiny_config
from tests.support.tiny_models import save_in_hub_cache, seeded_model

TEXTS = (
    "How dare you take the last of the soup.",
    "You broke the plate again!",
    "Thank you.",
    "The soup is on the stove, and it is cold.",
    "The train to the coast leaves at nine.",
    "There was a plate on the table.",
)
"""Three of anger, and three of neutral."""

FOLDER = "lab~tiny@main"


@contextmanager
def tiny_results(folder: Path, *words: str) -> Iterator[Path]:
    """A results folder of three scenarios of anger and neutral, and the model in a hub cache.

    Args:
        folder: An empty folder; the working directory meanwhile.
        words: Further words of `emoact extract`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "hub-home"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("EMOACT_HOST_IDLE_S", "0")
        patch.chdir(folder)
        save_in_hub_cache(
            seeded_model(tiny_config("llama", 2_000)), "lab/tiny", folder / "hub-home"
        )
        rows = [
            {"text": text, "emotion": emotion, "id": f"{emotion}-{i}", "scenario_id": f"s{i}"}
            for emotion, texts in (("anger", TEXTS[:3]), ("neutral", TEXTS[3:]))
            for i, text in enumerate(texts)
        ]
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        asked = ["extract", "--model", "lab/tiny", "--dataset", "prompts.jsonl", *words]
        assert main(asked) == 0
        yield folder / "results"
