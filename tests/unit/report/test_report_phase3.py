"""The sections of phase 3, from an analysis made by the worker's own code."""

import dataclasses
import html
import math
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from emoact.analysis.saved import SavedAnalysis
from emoact.report.document import Section, Table
from emoact.report.making import make_report
from emoact.report.material import gather
from emoact.report.parts_phase3 import phase3
from emoact.report.words import words_of
from emoact.stats.across.between import CREDIBLE
from emoact.views import catalogue
from emoact.views.analysed import Analysed
from emoact.views.view import Shown, View
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import FAST, plant_scenarios


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SavedAnalysis]:
    """Two models of planted data, one of them random, and their analysis."""
    folder = tmp_path_factory.mktemp("analysed")
    plant_scenarios(folder, "gpt2")
    plant_scenarios(folder, "pythia-160m", provenance={"random_weights": True})
    return folder, plant_analysis(folder)


@pytest.fixture
def folder(analysed: tuple[Path, SavedAnalysis]) -> Path:
    return analysed[0]


def shown(results: Path, lang: str) -> str:
    text = make_report(results, lang=lang).path.read_text()
    return html.unescape(
        re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.S))
    )


def test_all_parts_are_there_in_both_languages(analysed: tuple[Path, SavedAnalysis]) -> None:
    folder, saved = analysed
    for lang, headings in (
        ("en", ("Directions: strength", "Distances within a model", "Across models")),
        ("ja", ("感情方向: 強度と分離", "モデル内での感情距離", "モデル間での感情方向類似度")),
    ):
        report = make_report(folder, lang=lang)
        text = report.path.read_text()
        for heading in headings:
            assert heading in text
        assert saved.id in text
        # Norms, strength and distances of two models each.
        assert text.count("<svg") == 6


def test_figures_are_those_of_the_tables(analysed: tuple[Path, SavedAnalysis]) -> None:
    folder, saved = analysed
    text = shown(folder, "en")
    headline = saved.table("headline")
    for _, row in headline[headline["site"] == "resid_pre"].iterrows():
        assert f"{row['balanced_accuracy']:.2f}" in text
        assert f"{row['text_difference']:.2f}".replace("-", "−") in text
    across = saved.table("across")
    own = across[(across["site"] == "resid_pre") & (across["emotion"] == "anger")]
    assert f"{own['raw_cos'].median():.2f}".replace("-", "−") in text


@pytest.mark.parametrize(("lang", "heading"), [("en", "Conclusion"), ("ja", "結論")])
def test_the_conclusion_has_the_result(
    analysed: tuple[Path, SavedAnalysis], lang: str, heading: str
) -> None:
    folder, saved = analysed
    rows = saved.table("headline")
    rows = rows[(rows["site"] == "resid_pre") & (rows["evaluation"] == "cross_validated")]
    trained = rows[rows["model"] == "gpt2"]
    conclusion = shown(folder, lang).rpartition(heading)[2]
    assert str(len(trained)) in conclusion
    assert str(int(trained["significant"].sum())) in conclusion


def section_of(folder: Path, name: str, table: str, **columns: float | str) -> Section:
    """A section, where these columns of one of its tables have one value."""
    material = gather(folder)
    found = material.phase3
    assert found is not None
    source = found.source
    rows = source.read(table).assign(**columns)
    changed = dataclasses.replace(
        source, read=lambda each: rows if each == table else source.read(each)
    )
    own = dataclasses.replace(found, source=changed)
    sections = phase3(dataclasses.replace(material, phase3=own), words_of("en"))
    return next(section for section in sections if section.name == name)


def test_a_score_correlation_corrected_by_almost_nothing_is_blank(folder: Path) -> None:
    def cells(score: float) -> set[str] | None:
        section = section_of(folder, "across", "across", score_corr=score)
        (drawn,) = (block for block in section.blocks if isinstance(block, Table))
        title = words_of("en").plain("column.score_corr")
        return {row[drawn.head.index(title)] for row in drawn.rows} if title in drawn.head else None

    assert cells(0.7) == {"0.70"}
    assert cells(CREDIBLE + 0.2) is cells(-CREDIBLE - 0.2) is cells(math.nan) is None


@pytest.mark.parametrize(("p", "said"), [(0.04, "better than chance"), (0.5, "cannot be shown")])
def test_matching_is_judged_beside_p_values(folder: Path, p: float, said: str) -> None:
    changes = {"emotion_geometry_p_max": 0.01, "emotion_geometry_p_match": p}
    section = section_of(folder, "across", "across", **changes)
    assert any(said in str(block) for block in section.blocks)


def test_cell_of_an_order_without_a_threshold_has_its_auroc_interval_and_p(folder: Path) -> None:
    changes = {"auroc": 0.96, "auroc_low": 0.89, "auroc_high": 0.98, "p_order": 0.012}
    section = section_of(
        folder, "directions", "headline", verdict="order_only", one_sided="", **changes
    )
    cells = [row[-1] for block in section.blocks if isinstance(block, Table) for row in block.rows]
    said = "order carries over, AUROC 0.96 [0.89, 0.98], p = 0.012; accuracy not shown"
    assert said in cells


def test_every_view_of_the_report_stands_there_with_its_question(folder: Path) -> None:
    english, japanese = shown(folder, "en"), shown(folder, "ja")
    views = [view for view in catalogue.of_analyses() if view.in_report]
    assert views
    for view in views:
        assert view.question in english
        assert words_of("ja").has(f"view.{view.name}.title")
        assert view.question not in japanese


def test_a_view_without_japanese(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"model": ["gpt2"], "value": [0.25]})
    added = View[Analysed](
        name="added",
        page="added-page",
        title="A view of a later day",
        question="Does it appear in the report?",
        show=lambda _source, _choice: Shown(table=frame, chart=None, caption="Cap.", name="added"),
        answer=lambda _source, _choice, _shown: ["It **does**, with `code` and a\\_name."],
        in_report=lambda _source: [{}],
    )
    monkeypatch.setattr(catalogue, "VIEWS", (*catalogue.VIEWS, added))
    for lang in ("en", "ja"):
        text = re.sub(r"\s+", " ", shown(folder, lang))
        assert "A view of a later day" in text
        assert "Does it appear in the report?" in text
        assert "It does , with code and a_name." in text
        assert "0.250" in text
        assert ("この図の説明は英語のみ" in text) == (lang == "ja")


def test_random_models_claim_nothing_and_are_not_counted(folder: Path) -> None:
    text = shown(folder, "en")
    assert "of 2 directions" in text  # anger and gratitude of gpt2 alone
    assert "random weights, no claim" in text
    assert "Their rows show that the tools work" in text


def test_one_of_other_files_says_so(analysed: tuple[Path, SavedAnalysis], tmp_path: Path) -> None:
    _, saved = analysed
    plant_scenarios(tmp_path, "gpt2", n=10)
    shutil.copytree(saved.path, tmp_path / "analysis" / saved.id)
    assert "rests on other files than those in the folder now" in shown(tmp_path, "en")
    table = tmp_path / "analysis" / saved.id / "tables" / "headline.parquet"
    table.write_bytes(table.read_bytes()[:-10])
    text = shown(tmp_path, "en")
    assert "cannot be read and is not included" in text
    assert "python -m emoact analyze" in text


def test_a_mixture_is_said_before_every_figure_and_table(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    plant_scenarios(tmp_path, emotions=("anger",), provenance={"dtype": "float16"})
    plant_analysis(tmp_path, dataclasses.replace(FAST, allow_mixed=True, probes=("mass_mean",)))
    for lang, badge in (("en", "Mixed settings."), ("ja", "設定の混在。")):
        # The section, its table, strength and distances.
        text = shown(tmp_path, lang)
        assert text.count(badge) == 4
        assert text.count("dtype differs: float16 (gpt2/anger)") == 4
