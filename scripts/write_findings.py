"""Write the findings of the newest analysis of the embedded model into README.md.

    python -m emoact extract --model smollm2-135m && python -m emoact analyze --model smollm2-135m
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
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact import read_analysis  # noqa: E402
from emoact.analysis.saved import SavedAnalysis  # noqa: E402
from emoact.analysis.sentences import probe_sentences  # noqa: E402
from emoact.models.registry import DEFAULT_MODEL  # noqa: E402
from emoact.numbers import significant  # noqa: E402

BEGIN = "<!-- findings: written by scripts/write_findings.py -->"
END = "<!-- end of findings -->"
SITE = "resid_pre"


def main(argv: Sequence[str] | None = None) -> None:
    """Replace the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    arguments = parser.parse_args(argv)
    text = arguments.readme.read_text(encoding="utf-8")
    found = " ".join(findings(read_analysis(arguments.results)))
    section = "\n".join([BEGIN, *textwrap.wrap(found, 136, break_on_hyphens=False), END])
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{arguments.readme} does not have each marker once")
    arguments.readme.write_text(pattern.sub(lambda _: section, text), encoding="utf-8")


def findings(analysis: SavedAnalysis) -> list[str]:
    """Two sentences: difference of the classes, and comparison with their words."""
    if DEFAULT_MODEL not in analysis.models or analysis.badges:
        raise SystemExit(
            f"analysis {analysis.id} is not an unmixed analysis with {DEFAULT_MODEL}; "
            "run `python -m emoact analyze`"
        )
    headline = analysis.table("headline")
    rows = headline[(headline["model"] == DEFAULT_MODEL) & (headline["site"] == SITE)]
    transfer = rows[rows["evaluation"] == "explicit_to_implicit"].to_dict("records")
    strength = analysis.table("strength")
    strength = strength[(strength["model"] == DEFAULT_MODEL) & (strength["site"] == SITE)]
    return [_differ(transfer, strength), *probe_sentences(transfer)]


def _differ(rows: list[dict[str, Any]], strength: Any) -> str:
    n_layers = strength["layer"].nunique()
    parts = []
    for row in rows:
        own = strength[strength["emotion"] == row["emotion"]]
        said = "differs" if row["significant"] else "does not differ"
        parts.append(
            f"{row['emotion']} {said} from neutral (p {significant(row['p_holm'])}, "
            f"{row['layers']} of {n_layers} layers, held-out AUROC {own['auroc'].min():.2f} to "
            f"{own['auroc'].max():.2f})"
        )
    return (
        f"In {DEFAULT_MODEL} ({SITE}, mean over content tokens), {_listed(parts)}, by permutation "
        "within scenarios over all layers and both sites, Holm over emotions."
    )


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


if __name__ == "__main__":
    main()
