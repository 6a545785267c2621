"""Analyses and control extractions of a stranger, under the hashes that they should have."""

import dataclasses
import hashlib
import json
import os
import random
import resource
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emoact.analysis.key import InputFile
from emoact.analysis.request import control_settings
from emoact.analysis.saved import SavedAnalysis
from emoact.analysis.table_files import check_rows
from emoact.analysis.verify import verify_controls
from emoact.analysis.worker import AnalysisWork, Computed, compute_analysis
from emoact.cli import main
from emoact.decode import sealed, unsealed
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.report.making import make_report
from emoact.store.controls import UnitControls, damage_of
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.views import by_layer, catalogue, cosines, direction_answer
from emoact.views.analysed import Analysed, texts_in
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles
from emoact.views.view import View
from tests.support.json_damage import change_document
from tests.support.pages import open_page
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import (
    FAST,
    LABELS,
    control_vectors,
    plant_controls,
    plant_scenarios,
)

JUNK: dict[str, tuple[Any, ...]] = {
    "f": (np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, -1.0, 5e-324),
    "i": (-1, 0, 1, 999, 10**6, 2**62, -(2**62)),
    "O": ("", "<b>x</b>", "gpt2", "anger", "neutral", " ~ ", "x" * 10_000),
    "b": (True, False),
}
PAGES = ("directions", "distances", "across")
CARDS: dict[str, Callable[[Analysed, Any], object]] = {
    "directions": direction_answer.cards,
    "distances": cosines.cards,
    "across": by_layer.cards,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedAnalysis:
    results = tmp_path_factory.mktemp("hostile")
    plant_scenarios(results, "gpt2", n=8, n_layers=2)
    plant_scenarios(results, "other", n=8, n_layers=3)
    return plant_analysis(results)


def hostile(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """A table with rows left out or doubled, and with junk in a column, once and everywhere."""
    yield "empty", table.iloc[:0]
    yield "one row", table.iloc[:1]
    yield "the last row", table.iloc[-1:]
    yield "every second row", table.iloc[::2]
    yield "every row twice", pd.concat([table, table], ignore_index=True)
    yield "backwards", table.iloc[::-1]
    for name, column in table.items():
        for junk in JUNK[column.dtype.kind]:
            yield f"{name} {junk!r:.20} everywhere", table.assign(**{str(name): junk})
            once = column.copy()
            if len(once):
                once.iloc[len(once) // 2] = junk
            yield f"{name} {junk!r:.20} once", table.assign(**{str(name): once})
        for value in list(dict.fromkeys(column))[:3]:
            yield f"without {name} {value!r:.20}", table[column != value]


def draw(view: View[Any], source: Analysed) -> None:
    """What a page and the report do with a view."""
    choices = [view.choice(source, {}), *(view.in_report(source)[:2] if view.in_report else ())]
    for choice in choices:
        shown = view.show(source, choice)
        view.answer(source, choice, shown)
        if view.command:
            view.command(source, choice)
        for words in (view.terms, view.empty):
            if callable(words):
                words(source, choice)
        if shown.chart is not None:
            styles = emotion_styles((each.emotion for each in source.saved.inputs), "light")
            figure(shown.chart, styles=styles, scheme="light", caption=shown.caption)


def use(source: Analysed, views: Sequence[View[Any]]) -> None:
    for view in views:
        draw(view, source)
    for page in {view.page for view in views}:
        first = catalogue.of_page(page)[0]
        choice = first.choice(source, {})
        CARDS[page](source, choice)
        if page == "directions":
            direction_answer.wide_layers(source, choice)


def readers(source: Analysed) -> dict[str, list[View[Any]]]:
    """Views of pages of an analysis, by the tables that they read."""
    found: dict[str, list[View[Any]]] = {}
    for view in catalogue.of_analyses():
        seen: dict[str, None] = {}

        def noted(name: str, seen: dict[str, None] = seen) -> pd.DataFrame:
            seen[name] = None
            return source.read(name)

        draw(view, dataclasses.replace(source, read=noted))
        for name in seen:
            found.setdefault(name, []).append(view)
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tables_with_other_contents_are_refused_or_drawn(
    every: bool, saved: SavedAnalysis, record_property: Callable[[str, object], None]
) -> None:
    tables = {name: saved.table(name) for name in saved.tables}
    views = readers(Analysed(saved=saved, read=tables.__getitem__))
    cases = [
        (name, what, changed) for name, table in tables.items() for what, changed in hostile(table)
    ]
    if not every:
        cases = random.Random(0).sample(cases, 60)
    drawn = 0
    for name, what, changed in cases:
        try:
            check_rows(changed, name, saved.names)
        except ValueError:
            continue
        drawn += 1
        source = Analysed(saved=saved, read=({**tables, name: changed}).__getitem__)
        try:
            use(source, views.get(name, []))
        except Exception as error:
            raise AssertionError(f"{name}: {what}") from error
    record_property("points", len(cases))
    assert 0 < drawn < len(cases)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("distances", {"emotion_b": "emotion_a"}, "compares an emotion with itself"),
        ("headline", {"evaluation": None}, "unknown evaluation"),
    ],
)
def test_rows_of_no_comparison_and_of_no_evaluation_are_refused(
    saved: SavedAnalysis, name: str, changes: dict[str, str | None], said: str
) -> None:
    table = saved.table(name)
    check_rows(table, name, saved.names)
    harmed = {column: table[other] if other else "none" for column, other in changes.items()}
    with pytest.raises(ValueError, match=said):
        check_rows(table.assign(**harmed), name, saved.names)


def rewrite(saved: SavedAnalysis, name: str, table: pd.DataFrame) -> None:
    """Save a table with the size and hash that its analysis should have of it."""
    path = saved.path / "tables" / f"{name}.parquet"
    table.to_parquet(path)
    data = path.read_bytes()
    state = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    where = saved.path / "analysis.json"
    change_document(where, lambda fields: fields["files"].update({f"tables/{name}.parquet": state}))


def test_a_layer_that_no_model_has_costs_its_analysis_and_no_memory(
    saved: SavedAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    shutil.copytree(saved.path.parents[1], results)
    saved = SavedAnalysis.open(results / "analysis" / saved.id)
    table = saved.table("strength")
    rewrite(saved, "strength", table.assign(layer=np.where(table["layer"] == 1, 2**31, 0)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileRefusedError, match="layer is 2147483648 in"):
        SavedAnalysis.open(saved.path).table("strength")
    monkeypatch.setenv("EMOACT_RESULTS", str(results))
    app = open_page("directions")
    assert "This analysis is damaged" in "".join(box.proto.title for box in app.error)
    assert main(["analyze", "show", saved.id, "--results", str(results)]) in (0, 1)
    report = make_report(results, form="md").path.read_text()
    assert "layer is 2147483648" in report
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


FILES = (
    "../../elsewhere/activations_anger.pkl",
    "/etc/hostname",
    "activations/gpt2/..",
    "activations/other/activations_anger.pkl",
    "activations/gpt2/" + "x" * 5_000,
    "activations/gpt2/a\0b.pkl",
    "",
)


def test_an_analysis_names_no_file_outside_of_the_activations(
    saved: SavedAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    shutil.copytree(saved.path.parents[1], results)
    for number, file in enumerate(FILES):
        bad = results / "analysis" / f"bad-{number}"
        bad.mkdir()
        fields, _ = unsealed(json.loads((saved.path / "analysis.json").read_text()))
        fields["inputs"][0]["file"] = file
        fields["id"] = bad.name
        (bad / "analysis.json").write_text(json.dumps(sealed(fields)))
        with pytest.raises(FileRefusedError, match="is no file of activations of gpt2"):
            SavedAnalysis.open(bad)
    monkeypatch.setenv("EMOACT_RESULTS", str(results))
    for page in ("home", "directions"):
        assert not open_page(page).exception


def test_texts_are_not_read_through_a_link_outside(saved: SavedAnalysis, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(saved.path.parents[1], results)
    assert texts_in(results, saved, "gpt2")
    (results / "activations" / "gpt2").rename(tmp_path / "elsewhere")
    (results / "activations" / "gpt2").symlink_to(tmp_path / "elsewhere")
    assert texts_in(results, saved, "gpt2") == {}


def test_emotions_without_a_file_are_refused() -> None:
    with pytest.raises(RequestError, match="no file of activations"):
        InputFile(folder="gpt2", emotion="a", model="m", file="a.pkl", size=1, sha256="0")


@pytest.fixture
def controls(tmp_path: Path) -> UnitControls:
    found = plant_controls(tmp_path)
    found.write("contextless", control_vectors(found))
    return found


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def put(path: Path, header: Any, data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


Harm = Callable[[dict[str, Any]], object]
HEADERS: dict[str, Harm] = {
    "beyond the file": lambda h: h["mlp_out"].update(data_offsets=[0, 2**62]),
    "before the file": lambda h: h["mlp_out"].update(data_offsets=[-(2**40), 0]),
    "backwards": lambda h: h["mlp_out"].update(data_offsets=[384, 0]),
    "the same twice": lambda h: h["mlp_out"].update(data_offsets=h["resid_pre"]["data_offsets"]),
    "text": lambda h: h["mlp_out"].update(data_offsets="ab"),
    "infinite": lambda h: h["mlp_out"].update(data_offsets=[float("inf"), float("inf")]),
    "another type": lambda h: h["mlp_out"].update(dtype="F64"),
    "another shape": lambda h: h["mlp_out"].update(shape=[1]),
    "a shape of text": lambda h: h["mlp_out"].update(shape="abc"),
    "a site less": lambda h: h.pop("mlp_out"),
    "a site more": lambda h: h.update(attn_out=h["mlp_out"]),
    "no hash": lambda h: h["__metadata__"].pop("sha256"),
    "a hash of another type": lambda h: h["__metadata__"].update(sha256=1),
    "no metadata": lambda h: h.update(__metadata__=None),
}


@pytest.mark.parametrize("name", [*HEADERS, "a list", "nothing"])
def test_a_foreign_header_of_controls_is_refused(controls: UnitControls, name: str) -> None:
    path = controls.path("contextless")
    header, data = header_of(path)
    assert damage_of(path) == ""
    whole: Any = {"a list": [], "nothing": None}.get(name, header)
    if name in HEADERS:
        HEADERS[name](header)
    put(path, whole, data)
    (finding,) = verify_controls(controls.root)
    assert finding.code == "controls_damaged"
    try:
        found = controls.read("contextless")
    except FileRefusedError:
        return
    # The reader takes sizes from the unit; what it returns is what was written.
    for site, values in control_vectors(controls).items():
        np.testing.assert_array_equal(found[site], values)


def test_controls_of_terabytes_are_refused_without_memory(controls: UnitControls) -> None:
    path = controls.path("contextless")
    header, data = header_of(path)
    header["resid_pre"]["data_offsets"][1] += 1 << 40
    put(path, header, data)
    os.truncate(path, path.stat().st_size + (1 << 40))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (finding,) = verify_controls(controls.root)
    assert "header" in finding.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_size_of_controls_that_is_a_text_takes_no_memory(controls: UnitControls) -> None:
    path = controls.path("contextless")
    header, data = header_of(path)
    # Times a text, a terabyte is a terabyte of text.
    header["resid_pre"]["shape"] = [1 << 40, "4"]
    put(path, header, data)
    (finding,) = verify_controls(controls.root)
    assert "integer" in finding.message


def test_controls_outside_are_neither_read_nor_made(controls: UnitControls, tmp_path: Path) -> None:
    folder = controls.path("contextless").parent
    folder.rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    folder.symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (finding,) = verify_controls(controls.root)
    assert "leads out of the results folder" in finding.message
    for use_it in (
        lambda: controls.read("contextless"),
        lambda: controls.write("shuffle-000", control_vectors(controls)),
    ):
        with pytest.raises(EmoactError, match="leads out of the results folder"):
            use_it()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_controls_of_any_content_are_compared_or_named(every: bool, tmp_path: Path) -> None:
    plant_scenarios(tmp_path, n=8, n_layers=2, sites=("resid_pre",))
    root = ResultsRoot(tmp_path)
    settings = dataclasses.replace(FAST, control_shuffles=20, sites=("resid_pre",))
    names = [f"activations_{label}.pkl" for label in LABELS]
    work = AnalysisWork(settings=settings, units=tuple(("gpt2", name) for name in names))
    made = []
    for name in names:
        unit = read(tmp_path / "activations" / "gpt2" / name)
        made.append(UnitControls(root=root, unit=unit, settings=control_settings(settings)))
        for number, each in enumerate(made[-1].settings.names):
            made[-1].write(each, control_vectors(made[-1], number))
    for junk in (np.nan, 3e38, np.inf, -3e38, 1e-45, 0.0)[: None if every else 2]:
        for each in ("contextless", "shuffle-000"):
            made[0].write(
                each, {s: np.full(n, junk, dtype="f4") for s, n in made[0].shapes.items()}
            )
        found = compute_analysis(root, work, lambda *_, **__: None)
        assert isinstance(found, Computed)
        headline = found.result.tables["headline"]
        if not np.isfinite(junk):
            own = headline[headline["emotion"] == LABELS[0]]
            assert not (own["verdict"] == "beyond_words").any()
