"""Script times of the dashboard's pages, with twelve saved pickles on disk."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import emoact
from emoact.bench.contest import Say, numbered
from emoact.bench.result import PageTime
from emoact.bench.subject import Subject
from emoact.errors import EmoactError
from emoact.store.summaries import measures_of

HOME = Path(emoact.__file__).resolve().parent.parent
"""Folder of `app.py` and the pages in a checkout."""

ROUNDS = 7
_PICKLES = 12
# One process for each page, so that the first time includes all imports.
_SCRIPT = """
import json, sys, time
import streamlit
from streamlit.testing.v1 import AppTest
began = time.perf_counter()
app = AppTest.from_file("app.py", default_timeout=120)
app.switch_page(f"pages/{sys.argv[1]}.py").run()
times = [time.perf_counter() - began]
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    app.run()
    times.append(time.perf_counter() - began)
assert not app.exception, app.exception
print(json.dumps(times))
"""


def page_names() -> list[str]:
    """Names of all pages; none outside a checkout."""
    return sorted(path.stem for path in (HOME / "pages").glob("*.py"))


def page_times(subject: Subject, *, say: Say, pages: Sequence[str] | None = None) -> list[PageTime]:
    """Times of every page over twelve saved units of the subject's prompts."""
    with tempfile.TemporaryDirectory(prefix="emoact-pages-") as folder:
        results = Path(folder, "results")
        say(f"saving {_PICKLES} pickles")
        subject.run_pipeline(twelve_units(subject.texts), results=results)
        measures_of(results)
        times = []
        for page in page_names() if pages is None else pages:
            say(f"opening {page}")
            times.append(page_time(page, results))
        return times


def page_time(page: str, results: Path) -> PageTime:
    """Times of the first and the later runs of one page's script.

    Raises:
        EmoactError: The page failed.
    """
    path = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, page, str(ROUNDS)],
        cwd=HOME,
        env={**os.environ, "EMOACT_RESULTS": str(results), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EmoactError(f"the page {page} failed: {done.stderr.strip().splitlines()[-1]}")
    cold, *warm = json.loads(done.stdout.splitlines()[-1])
    return PageTime(page=page, cold_s=cold, warm_s=statistics.median(warm))


def twelve_units(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """Units, followed by units of numbered copies, twelve in all."""
    copies = -(-_PICKLES // len(texts))
    more = [numbered(unit, copies) for unit in texts]
    units = [
        unit[copy * len(original) : (copy + 1) * len(original)]
        for copy in range(copies)
        for unit, original in zip(more, texts, strict=True)
    ]
    return units[:_PICKLES]
