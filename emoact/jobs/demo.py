"""A small data set for a first look: some scenarios of a larger one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from emoact.data.reading import read_prompts
from emoact.errors import RequestError
from emoact.store.atomic import replace_atomically
from emoact.store.layout import ResultsRoot

N_SCENARIOS = 12


def demo_prompts(dataset: str | os.PathLike[str], results: str | os.PathLike[str]) -> Path:
    """Write twelve scenarios of a data set, spread evenly, below a results folder; their path.

    Raises:
        RequestError: The data set cannot be read, or has no scenarios.
        EmoactError: The file cannot be written.
    """
    prompts = read_prompts(dataset).prompts
    scenarios = list(dict.fromkeys(prompt.scenario_id for prompt in prompts if prompt.scenario_id))
    if not scenarios:
        raise RequestError(f"{dataset} has no scenarios to choose from")
    step = max(1, len(scenarios) // N_SCENARIOS)
    wanted = set(scenarios[::step][:N_SCENARIOS])
    lines = [
        json.dumps({"text": each.text, "emotion": each.emotion, "id": each.id,
                    "scenario_id": each.scenario_id, "subset": each.subset}, ensure_ascii=False)
        for each in prompts
        if each.scenario_id in wanted
    ]  # fmt: skip
    data = "".join(f"{line}\n" for line in lines).encode()
    name = f"demo-{hashlib.sha256(data).hexdigest()[:12]}.jsonl"
    path = ResultsRoot(results).dataset_path(name)
    # Also where it is there: a received folder may hold another file under its name.
    with replace_atomically(path, need=len(data)) as file:
        file.write(data)
    return path
