"""Measure tiny models of every family, and write the table of docs/models.md.

    python scripts/write_models.py            # about a minute; needs no model and no network
    python scripts/write_models.py --check    # exits with 1 where the table says something else

Figures may differ between processors, so a check compares everything but them.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact.sites import SITES  # noqa: E402
from tests.support.families import FAMILIES, Family  # noqa: E402
from tests.support.whole_path import Measured, measure  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
_TABLE = re.compile(
    r"(<!-- families: written by scripts/write_models\.py -->\n).*?(<!-- end of families -->)",
    re.DOTALL,
)
_HEAD = (
    "| family | example | `resid_pre` | `mlp_out` | plan | `mlp_out` is | lacks, or refused |\n"
    "|---|---|---|---|---|---|---|\n"
)
_FIGURE = re.compile(r"\b\d\.?\d*e-\d+\b")


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite or check the table; returns 1 where a check found it out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    arguments = parser.parse_args(argv)
    os.environ["HF_HUB_OFFLINE"] = "1"
    rows = []
    for family in FAMILIES:
        with tempfile.TemporaryDirectory(prefix="emoact-family-") as folder:
            rows.append(row(family, measure(family, Path(folder))))
        print(rows[-1], file=sys.stderr)
    before = PAGE.read_text(encoding="utf-8")
    after = _TABLE.sub(lambda found: f"{found[1]}{_HEAD}{''.join(rows)}{found[2]}", before)
    if without_figures(after) == without_figures(before):
        return 0
    if arguments.check:
        print("out of date: models.md; run `python scripts/write_models.py`")
        return 1
    PAGE.write_text(after, encoding="utf-8")
    return 0


def row(family: Family, measured: Measured) -> str:
    """The line of one family."""
    cells = [
        f"{family.name} (`{family.type}`)",
        f"`{family.example}`",
        *(_figure(measured, site) for site in ("resid_pre", "mlp_out")),
        f"`{measured.plan}`" if measured.plan else "",
        _meaning(family, measured) if "mlp_out" in measured.differences else "",
        _lacking(measured),
    ]
    return f"| {' | '.join(cells)} |\n"


def without_figures(text: str) -> str:
    """The text with every figure such as 3e-07 left out."""
    return _FIGURE.sub("", text)


def _figure(measured: Measured, site: str) -> str:
    return f"{measured.differences[site]:.0e}" if site in measured.differences else "refused"


def _meaning(family: Family, measured: Measured) -> str:
    modules = " or ".join(f"`{name}`" for name in family.mlp)
    scaled = " × `residual_multiplier`" if family.scale != 1.0 else ""
    beside = ", beside attention" if measured.is_parallel else ""
    return f"output of {modules}{scaled}{beside}"


def _lacking(measured: Measured) -> str:
    found = []
    if measured.has:
        lacking = [f"`{site.name}`" for site in SITES if site.name not in measured.has]
        found += [f"no {', '.join(lacking)}"] if lacking else []
    if measured.refusal:
        # The figure in brackets is one of random weights.
        found.append(re.sub(r" \([^)]*\)", "", measured.refusal.removeprefix("model: ")))
    return "; ".join(found).replace("model ", "").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
