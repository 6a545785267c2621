"""Files of activations whose metadata say what no writer says: each costs its own row."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.cli import main
from emoact.report.making import make_report
from emoact.store.summaries import measures_of
from emoact.store.unit import COMPARED, STATED
from tests.support.pages import open_page
from tests.support.planted import plant_unit
from tests.support.typed import Typed

LINK = '<a href="https://evil.example">x</a> [y](https://evil.example)'
JUNK: dict[str, Any] = {
    "none": None,
    "list": [[1], {}],
    "mapping": {"a": []},
    "markup": "<b>x</b>",
    "huge": 10**150,
    "infinite": float("inf"),
    "bytes": b"\xff",
    "array": np.ones(2, dtype=np.float32),
}
PROVENANCE = (
    *COMPARED,
    *STATED,
    *("weight_source", "weight_sha256", "commit", "random_weights", "precision", "generation"),
    *("versions", "truncated", "run_id", "command", "ended_at", "throughput", "plan", "self_check"),
    *("chat", "unit_key", "stop_tokens", "seed", "device"),
)
METADATA = ("prompts", "content_start", "content_spans", "response_spans", "responses", "sites")


def plant_hostile(results: Path, junks: Mapping[str, Any]) -> int:
    """A file for every field and every junk in its place, and one that is as it should be."""
    options: dict[str, Any] = {"n_samples": 2, "n_layers": 2, "d_model": 4, "texts": [LINK] * 2}
    honest = plant_unit(results, "gpt2", "honest", **options)
    content = honest.read_bytes()
    places = [("provenance", name) for name in dict.fromkeys(PROVENANCE)]
    places += [("metadata", name) for name in METADATA]
    for where, name in places:
        for kind, junk in junks.items():
            # This is our own file.
            unit = pickle.loads(content)
            fields = unit["metadata"] if where == "metadata" else unit["metadata"]["provenance"]
            fields[name] = junk
            label = f"{name}-{kind}"
            unit["metadata"]["emotion_label"] = label
            unit["labels"] = [label] * len(unit["labels"])
            path = honest.with_name(f"activations_{label}.pkl")
            path.write_bytes(pickle.dumps(unit, protocol=5))
    return len(places) * len(junks)


def test_hostile_metadata_cost_their_own_file(
    every: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    results = tmp_path / "results"
    names = JUNK if every else ("list", "huge", "array")
    n_files = plant_hostile(results, {name: JUNK[name] for name in names})
    monkeypatch.setenv("EMOACT_RESULTS", str(results))
    found = measures_of(results)
    assert "honest" in {unit.emotion for unit in found.units}
    assert len(found.units) + len(found.problems) == n_files + 1
    paths = sorted((results / "activations" / "gpt2").iterdir())
    for path in paths if every else paths[::10]:
        assert main(["inspect", str(path)]) in (0, 1)
    assert main(["norms", "--results", str(results)]) in (0, 1)
    assert "honest" in typed("verify", "--results", results, "--samples", "0", code=1).out
    report = make_report(results).path.read_text()
    assert LINK not in report
    assert "<b>x</b>" not in report
    pages = ("home", "activations", "report", "extract", "heads", "causes")
    for page in pages if every else pages[:2]:
        app = open_page(page)
        assert not app.exception, (page, app.exception)
