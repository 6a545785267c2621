"""Write what the newest analysis says of every model without random weights into README.md.

    python -m emoact extract --model smollm2-135m
    python -m emoact analyze --model smollm2-135m --controls
    python scripts/write_findings.py [--results results] [--readme README.md]

The text between the two markers is replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact import read_analysis  # noqa: E402
from emoact.analysis.saved import SavedAnalysis  # noqa: E402
from emoact.analysis.sentences import probe_sentences  # noqa: E402
from emoact.stats.probes.probes import CROSS_VALIDATED  # noqa: E402

BEGIN = "<!-- findings: written by scripts/write_findings.py -->"
END = "<!-- end of findings -->"


def main(argv: Sequence[str] | None = None) -> None:
    """Replace the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    arguments = parser.parse_args(argv)
    text = arguments.readme.read_text(encoding="utf-8")
    bullets = [
        textwrap.fill(f"- {each}", 136, subsequent_indent="  ", break_on_hyphens=False)
        for each in findings(read_analysis(arguments.results))
    ]
    section = "\n".join([BEGIN, *bullets, END])
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{arguments.readme} does not have each marker once")
    arguments.readme.write_text(pattern.sub(lambda _: section, text), encoding="utf-8")


def findings(analysis: SavedAnalysis) -> list[str]:
    """Sentences of each model, and those on held-out scenarios where these tell of a transfer."""
    real = [model for model in analysis.models if model not in analysis.random_weights]
    if not real:
        raise SystemExit(f"analysis {analysis.id} has no model with trained weights")
    headline = analysis.table("headline")
    told = []
    for model in real:
        sentences = re.split(r"(?<=\.)\s+(?=[A-Z])", analysis.sentences[model])
        rows = headline[headline["model"] == model].to_dict("records")
        held_out = probe_sentences(rows, evaluation=CROSS_VALIDATED)
        told += [*sentences, *(each for each in held_out if each not in sentences)]
    return told


if __name__ == "__main__":
    main()
