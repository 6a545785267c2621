"""Activations of a tiny Llama that a process of its own has extracted, for the command line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emoact.cli import main
from emoact.models import hosts
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


ROWS = tuple(
    {"text": text, "emotion": emotion, "id": f"{emotion}-{i}", "scenario_id": f"s{i}"}
    for emotion, texts in (("anger", TEXTS[:3]), ("neutral", TEXTS[3:]))
    for i, text in enumerate(texts)
)


def shipped(n_scenarios: int) -> list[dict[str, str]]:
    """The first scenarios of the shipped prompts."""
    lines = (Path(__file__).parents[2] / "data" / "prompts.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if int(row["scenario_id"][1:]) <= n_scenarios]


@contextmanager
def tiny_results(
    folder: Path, *words: str, rows: Sequence[Mapping[str, str]] = ROWS, model: Any = None
) -> Iterator[Path]:
    """A results folder, and its model in a hub cache and in a host that stays warm meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(folder / "hub-home"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv(hosts.IDLE, "120")
        patch.chdir(folder)
        made = seeded_model(tiny_config("llama", 2_000)) if model is None else model
        save_in_hub_cache(made, "lab/tiny", folder / "hub-home")
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        asked = ["extract", "--model", "lab/tiny", "--dataset", "prompts.jsonl", *words]
        assert main(asked) == 0
        try:
            yield folder / "results"
        finally:
            hosts.leave_others()
