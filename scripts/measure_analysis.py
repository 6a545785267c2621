"""Measure time and memory of the analysis of planted vectors, side by side with another version.

    python scripts/measure_analysis.py --prompts 10000
    python scripts/measure_analysis.py --prompts 900 --against FOLDER

Vectors are made in memory, as pooling makes them of files: neither reading nor saving is measured.
Each version runs in a process of its own, the given one first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

LABELS = ("gratitude", "anger", "apology", "neutral")
SITES = ("resid_pre", "mlp_out")
WIDTH = 576
SHARED_AXES = 24
"""Axes that hold most of the variance, as in a language model."""


def main() -> None:
    """Measure every version and print one line for each."""
    parser = argparse.ArgumentParser(description="Measure the analysis of planted vectors.")
    parser.add_argument("--prompts", type=int, default=900, help="of all classes together")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--against", type=Path, help="folder of another version's sources")
    parser.add_argument("--here", choices=("listed", "streamed"), help="measure in this process")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.prompts, options.layers, listed=options.here == "listed")))
        return
    for folder in filter(None, (options.against, ROOT)):
        measured = measured_in(folder, n_prompts=options.prompts, n_layers=options.layers)
        print(f"{folder}: {json.dumps(measured)}", flush=True)


def measured_in(folder: Path, *, n_prompts: int, n_layers: int = 30) -> dict[str, Any]:
    """`measure` in a process with the sources of a folder."""
    how = "streamed" if folder == ROOT else "listed"
    sizes = ["--prompts", str(n_prompts), "--layers", str(n_layers)]
    done = subprocess.run(
        [sys.executable, __file__, "--here", how, *sizes],
        env={**os.environ, "PYTHONPATH": os.fspath(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure(n_prompts: int, n_layers: int, *, listed: bool) -> dict[str, Any]:
    """Wall and processor seconds, peak memory, and the load of the machine.

    Args:
        n_prompts: Prompts of all classes.
        n_layers: Layers of each site.
        listed: Give all units at once, which versions before 0.2.0 need.
    """
    from emoact.stats.full import analyse_grid

    load = os.getloadavg()[0]
    began, used = time.perf_counter(), time.process_time()
    units = planted_units(n_prompts, n_layers)
    result = analyse_grid(list(units) if listed else units)
    return {
        "prompts": n_prompts,
        "layers": n_layers,
        "wall_s": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time() - used, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "load": (round(load, 1), round(os.getloadavg()[0], 1)),
        "rows": sum(len(table) for table in result.tables.values()),
    }


def planted_units(n_prompts: int, n_layers: int) -> Iterator[Any]:
    """One unit for each class; scenarios are matched, every second prompt is explicit."""
    from emoact.stats.comparable import Configuration
    from emoact.stats.features import PromptInfo, UnitFeatures

    n = n_prompts // len(LABELS)
    for number, label in enumerate(LABELS):
        rng = np.random.default_rng([17, number])
        vectors = {}
        for place, site in enumerate(SITES):
            vectors[site] = np.empty((n, n_layers, WIDTH), dtype=np.float32)
            for layer in range(n_layers):
                vectors[site][:, layer] = _layer(rng, n, number, [place, layer])
        yield UnitFeatures(
            model="planted",
            emotion=label,
            prompts=tuple(
                PromptInfo(
                    id=f"{label}-{i}",
                    scenario_id=f"s{i}",
                    subset="explicit" if i % 2 else "implicit",
                    text=_text(rng, number),
                    n_tokens=int(rng.integers(8, 20)),
                )
                for i in range(n)
            ),
            sites=vectors,
            configuration=Configuration(
                model="planted",
                processing="raw",
                bos="prepend",
                dtype="float32",
                dataset="planted",
                pooling="mean_content",
            ),
        )


def _layer(rng: np.random.Generator, n: int, number: int, place: list[int]) -> np.ndarray:
    """Scenarios on shared axes, noise, and the class along an axis of its own."""
    shared = np.random.default_rng([19, *place])
    axes = shared.normal(size=(SHARED_AXES, WIDTH)) / np.arange(1, 1 + SHARED_AXES)[:, None]
    scenarios = shared.normal(size=(n, SHARED_AXES))
    directions = shared.normal(size=(len(LABELS), WIDTH))
    values = (scenarios + 0.5 * rng.normal(size=(n, SHARED_AXES))) @ axes
    values += rng.normal(size=(n, WIDTH)) + 0.1 * directions[number]
    return values.astype(np.float32)


def _text(rng: np.random.Generator, number: int) -> str:
    """Words of a steep distribution; a fifth of them tells the class."""
    words = rng.zipf(1.3, size=rng.integers(6, 16)) % 5000
    told = rng.random(len(words)) < 0.2
    return " ".join(
        f"w{word + 5000 * (number + 1) * own}" for word, own in zip(words, told, strict=True)
    )


if __name__ == "__main__":
    main()
