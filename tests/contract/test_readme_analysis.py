"""The README's way of reading an analysis back, and the script that writes its findings."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emoact import read_analysis
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import LABELS, plant_scenarios

ROOT = Path(__file__).parents[2]


def analyse(results: Path, emotions: Sequence[str] = LABELS) -> None:
    plant_scenarios(results, "smollm2-135m", emotions)
    plant_analysis(results)


def test_the_readme_reads_an_analysis_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse(tmp_path / "results")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = [block for block in blocks if "read_analysis" in block]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 5
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(snippet, found)
    strength, directions = found["strength"], found["directions"]
    assert isinstance(strength, pd.DataFrame)
    assert len(strength) == 2 * 2 * 3
    assert isinstance(directions, dict)
    assert {e: (d.shape, d.dtype) for e, d in directions.items()} == {
        "anger": ((3, 8), np.float32),
        "gratitude": ((3, 8), np.float32),
    }


def test_the_findings_are_written_between_their_markers_from_the_analysis(tmp_path: Path) -> None:
    path = ROOT / "scripts" / "write_findings.py"
    spec = importlib.util.spec_from_file_location("write_findings", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    analyse(tmp_path / "results")
    before = (ROOT / "README.md").read_text()
    readme = tmp_path / "README.md"
    readme.write_text(before)
    words = ["--results", str(tmp_path / "results"), "--readme", str(readme)]
    script.main(words)
    once = readme.read_text()
    head, _, rest = once.partition(script.BEGIN)
    section, _, tail = rest.partition(script.END)
    assert before.startswith(head)
    assert before.endswith(tail)
    saved = read_analysis(tmp_path / "results").sentences["smollm2-135m"]
    assert saved in re.sub(r"\s+", " ", section.replace("\n- ", " "))
    script.main(words)
    assert readme.read_text() == once
    readme.write_text("no markers")
    with pytest.raises(SystemExit, match="each marker once"):
        script.main(words)
