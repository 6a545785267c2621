"""Measure parity and speed on a GPU into docs/gpu.json, and write docs/gpu.md from it.

python scripts/write_gpu.py --measure --models gpt2 smollm2-135m   on a machine with a GPU
python scripts/write_gpu.py                                        only writes the page
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NUMBERS, PAGE = ROOT / "docs" / "gpu.json", ROOT / "docs" / "gpu.md"
DATASETS = {
    "shipped": ROOT / "data" / "prompts.jsonl",
    "short": ROOT / "tests" / "fixtures" / "short_prompts.jsonl",
}


def main() -> None:
    """Measure where asked, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--models", nargs="*", default=["smollm2-135m"])
    parser.add_argument("--every", type=int, default=10, help="slow ways take every Nth prompt")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.measure:
        NUMBERS.write_text(json.dumps(measure(arguments), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(NUMBERS.read_text(encoding="utf-8"))), encoding="utf-8")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Parity of every family, the bench and whole runs."""
    return {
        "families": families(arguments.device),
        "bench": [
            {"model": model, "dataset": label, "device": device, "result": result}
            for model in arguments.models
            for label, path in DATASETS.items()
            for device in (arguments.device, "cpu")
            for result in [bench(model, path, device, arguments)]
        ],
        "runs": [
            {"model": model, "device": device, **whole_run(model, device)}
            for model in arguments.models
            for device in (arguments.device, "cpu")
        ],
    }


def families(device: Any) -> list[dict[str, Any]]:
    """Largest difference of each tiny model to Hugging Face on the CPU, one prompt at a time."""
    from tests.support.families import FAMILIES
    from tests.support.whole_path import measure as measure_family

    rows = []
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            found = measure_family(family, Path(folder), device=device)
        rows.append(
            {
                "name": family.name,
                "differences": dict(found.differences),
                "plan": found.plan,
                "refusal": found.refusal,
            }
        )
        print(rows[-1], flush=True)
    return rows


def bench(model: str, dataset: Path, device: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Result of one `emoact bench` in a child process."""
    words = ["bench", "--json", "--model", model, "--dataset", str(dataset), "--device", device]
    rounds = ["--repeat", str(arguments.repeat), "--every", str(arguments.every)]
    done = emoact(*words, *rounds, *(["--speed-only"] if device == "cpu" else []))
    result: dict[str, Any] = json.loads(done)
    return result


def whole_run(model: str, device: str) -> dict[str, Any]:
    """Time of `emoact extract` with a cold host, and what `emoact verify` recomputes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        emoact("extract", "--model", model, "--device", device, "--results", folder)
        seconds = time.perf_counter() - began
        files = sorted(Path(folder, "activations").glob("*/*.pkl"))
        size = sum(path.stat().st_size for path in files)
        checked = emoact("verify", "--results", folder, "--samples", "3", "--json")
    return {"seconds": seconds, "bytes": size, "verify": json.loads(checked)}


def emoact(*words: str) -> str:
    """Standard output of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "emoact", *words], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


def page(numbers: dict[str, Any]) -> str:
    """The page."""
    return ""


if __name__ == "__main__":
    main()
