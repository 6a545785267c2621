"""Write the tables of README.md and docs/ that come from the code.

    python scripts/write_docs.py            # rewrites what stands between the markers
    python scripts/write_docs.py --check    # exits with 1 where a document is not up to date

A table stands between `<!-- NAME: written by scripts/write_docs.py -->` and `<!-- end of NAME -->`.
`make check` runs the check. A new table is one entry of `TABLES` and two markers in a document.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact.cli.entry import commands_markdown  # noqa: E402
from emoact.jobs import executor  # noqa: E402
from emoact.sites import sites_markdown  # noqa: E402
from emoact.stats import catalogue  # noqa: E402
from emoact.store import protocol  # noqa: E402
from emoact.views.catalogue import views_markdown  # noqa: E402


def _stores() -> str:
    rows = [f"| `{one.name}` | `{one.suffix}` | {one.about} |" for one in protocol.STORES]
    return "\n".join(["| `--store` | files | format |", "|---|---|---|", *rows])


def _executors() -> str:
    rows = [
        f"| `{one.name}` | {one.about} | {', '.join(sorted(one.capabilities))} |"
        for one in executor.EXECUTORS
    ]
    return "\n".join(["| `--executor` | where the work is done | it can |", "|---|---|---|", *rows])


TABLES: Mapping[str, Callable[[], str]] = {
    "commands": commands_markdown,
    "sites": sites_markdown,
    "views": views_markdown,
    "stores": _stores,
    "executors": _executors,
    **{
        f"measures-{table.name}": functools.partial(catalogue.measures_markdown, table.name)
        for table in (
            *catalogue.TABLES,
            *catalogue.NORM_TABLES,
            *catalogue.TRANSFER_TABLES,
            *catalogue.CAUSE_TABLES,
        )
    },
}
_MARKED = re.compile(
    r"(<!-- (?P<name>[\w-]+): written by scripts/write_docs\.py -->\n)"
    r".*?(<!-- end of (?P=name) -->)",
    re.DOTALL,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite or check every document; returns 1 where a check found one out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    arguments = parser.parse_args(argv)
    stale = []
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))):
        before = path.read_text(encoding="utf-8")
        after = written(before)
        if after == before:
            continue
        stale.append(path.name)
        if not arguments.check:
            path.write_text(after, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    if stale and arguments.check:
        print(f"out of date: {', '.join(stale)}; run `python scripts/write_docs.py`")
        return 1
    return 0


def written(text: str) -> str:
    """The document with every table between its markers written anew."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}\n{found[3]}", text)


if __name__ == "__main__":
    sys.exit(main())
