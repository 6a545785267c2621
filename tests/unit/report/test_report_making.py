import errno
import html
import os
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from emoact.errors import EmoactError, RequestError
from emoact.numbers import significant
from emoact.report.making import STEPS, compose, make_report
from emoact.report.material import gather
from emoact.report.words import words_of
from emoact.stats.norms.tables import layer_table
from emoact.store.layout import ResultsRoot
from emoact.store.summaries import unit_measures
from emoact.views.chart import Line
from tests.support import planted
from tests.support.planted import SINK_LAYER, SINK_RATIO, plant_grid, plant_unit

NOW = datetime(2026, 1, 31, 14, 5, tzinfo=UTC)
SOURCE_ORDER = [
    "実行日時",
    "概要",
    "対象モデル",
    "データセット",
    "抽出された活性",
    "データ構造",
    "処理時間",
    "技術的な実装詳細",
    "検証結果",
    "フェーズ3",
    "課題と今後の拡張",
    "結論",
]


class Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def made(results: Path, **options: str) -> str:
    return make_report(results, now=NOW, **options).path.read_text()  # type: ignore[arg-type]


def shown(text: str) -> str:
    return html.unescape(
        re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", text, flags=re.S))
    )


def test_responses_are_in_the_settings_and_in_the_command(tmp_path: Path) -> None:
    generation = {"tokens": "sampled", "max_tokens": 20, "temperature": "0.7", "seed": 3}
    plant_grid(tmp_path, ["gpt2"], provenance={"generation": generation})
    for lang, said in (("en", "responses of at most 20 tokens"), ("ja", "最大20トークンの応答")):
        text = shown(made(tmp_path, lang=lang))
        assert said in text
        assert "--generate 20 --temperature 0.7 --seed 3" in text


def test_the_japanese_report_follows_the_sections_of_the_source_report(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", made(tmp_path, lang="ja"))
    assert [heading.partition(":")[0] for heading in headings] == SOURCE_ORDER


def test_both_languages_have_the_same_sections_tables_and_figures(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2", "pythia-160m"])
    english, japanese = (Tags(made(tmp_path, lang=lang)).found for lang in ("en", "ja"))
    for tag in ("h2", "h3", "svg", "table", "tr", "td"):
        assert sum(t == tag for t, _ in english) == sum(t == tag for t, _ in japanese), tag


def test_one_file_without_script_or_address_outside_itself(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    text = made(tmp_path)
    elements = Tags(text).found
    assert "svg" in {tag for tag, _ in elements}
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "object", "form"}
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert str(attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes
    outside = re.findall(r"(?:https?:)?//[\w.]+", text)
    assert set(outside) <= {"http://www.w3.org", "//www.w3.org"}
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text


def test_markup_in_names_and_prompts_stays_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    plant_unit(tmp_path, "gpt2", "anger", texts=[evil] * 5, provenance={"weight_source": evil})
    plant_unit(tmp_path, "gpt2", "neutral", texts=[f"{evil} x"] * 5)
    for form in ("html", "md"):
        text = made(tmp_path, form=form)
        assert "<script" not in text
    assert evil in shown(made(tmp_path))


def test_the_same_files_give_the_same_bytes_but_for_the_date(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    first, again = made(tmp_path), made(tmp_path)
    assert first == again
    later = make_report(tmp_path, now=datetime(2027, 2, 1, 9, 30, tzinfo=UTC)).path.read_text()
    assert later != first
    assert later.replace("2027-02-01 09:30 UTC", "2026-01-31 14:05 UTC") == first


def test_what_is_drawn_are_the_medians_of_the_activations(tmp_path: Path) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    (figure,) = compose(gather(tmp_path), words_of("en"), made=NOW).figures
    unit = unit_measures(ResultsRoot(tmp_path), "gpt2", "anger")
    for panel, site in zip(figure.chart.rows[0], ("resid_pre", "mlp_out"), strict=True):
        rows = layer_table(unit, site)
        (line,) = (mark for mark in panel.marks if isinstance(mark, Line))
        assert list(line.y) == rows[rows["position"] == "content"]["median"].tolist()
    sink = f"{significant(SINK_RATIO)} times the median residual stream norm at layer {SINK_LAYER}"
    assert sink in shown(made(tmp_path))
    assert f"最大{significant(SINK_RATIO)}倍です（層{SINK_LAYER}）" in shown(
        made(tmp_path, lang="ja")
    )


def test_every_file_stands_there_with_its_hash_and_how_to_use_it(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    material = gather(tmp_path)
    text = made(tmp_path)
    for unit in material.units:
        assert unit.sha256 in text
    for said in ("0 of 4 files have the SHA-256", "python -m emoact analyze", "emotion_vec[layer]"):
        assert said in shown(text)


def test_random_weights_carry_their_badge_and_no_claim(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"], provenance={"random_weights": True})
    plant_grid(tmp_path, ["pythia-160m"])
    for lang, badge in (("en", "Random weights."), ("ja", "ランダムな重み。")):
        text = shown(made(tmp_path, lang=lang))
        # In the overview, with the model, with its files.
        assert text.count(badge) == 3


def test_a_refused_file_is_named_and_counts_nowhere(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    (tmp_path / "activations/gpt2/activations_joy.pkl").write_bytes(b"nonsense")
    text = shown(made(tmp_path))
    assert "1 file could not be read" in text
    assert "gpt2/activations_joy.pkl was refused" in text
    assert "4 files, 20 samples" in text


def test_files_that_say_nothing_of_themselves_are_reported_all_the_same(tmp_path: Path) -> None:
    plant_unit(tmp_path, "gpt2", "anger", known=False)
    text = shown(made(tmp_path))
    assert "do not record how they were made" in text
    assert "unknown" in text


@pytest.mark.parametrize(("lang", "figure"), [("en", r"([\d.]+) times"), ("ja", r"([\d.]+)倍で")])
def test_position_0_has_one_figure_and_a_file_no_unknown_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lang: str, figure: str
) -> None:
    folder = "gguf~gemma~0123456789ab"
    for emotion, ratio in (("anger", 44.0), ("gratitude", 40.0), ("neutral", 40.0)):
        monkeypatch.setattr(planted, "SINK_RATIO", ratio)
        plant_unit(tmp_path, folder, emotion)
    text = shown(made(tmp_path, lang=lang))
    ratios = {float(each) for each in re.findall(figure, text)} - {5.0}
    assert len([each for each in ratios if 35 < each < 50]) == 1
    assert "Architecture" not in text
    assert "アーキテクチャ:" not in text


def test_markdown_has_its_figures_beside_it(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"])
    report = make_report(tmp_path, form="md", out=tmp_path / "out" / "r.md", now=NOW)
    text = report.path.read_text()
    (figure,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert (report.path.parent / figure).read_text().startswith("<svg xmlns=")
    assert set(report.files) == {report.path, report.path.parent / figure}
    # Once more into the same place: figures that the last one names go, others stay.
    folder = (report.path.parent / figure).parent
    for name in ("older.svg", "mine.svg", "mine.txt"):
        (folder / name).write_text("<svg/>")
    report.path.write_text(f"{text}![x]({folder.name}/older.svg)")
    again = make_report(tmp_path, form="md", out=tmp_path / "out" / "r.md", now=NOW)
    assert again.path.read_text() == text
    there = sorted(path.name for path in folder.iterdir())
    assert there == sorted(["mine.svg", "mine.txt", Path(figure).name])


def test_a_failed_report_keeps_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_grid(tmp_path, ["gpt2"])
    made = make_report(tmp_path, form="md", out=tmp_path / "out" / "r.md", now=NOW)
    for path in made.files:
        path.write_text("![x](r_figures/" + made.files[0].name + ")")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(EmoactError, match="disk is full"):
            make_report(tmp_path, form="md", out=made.path, now=NOW)
    made.path.unlink()
    with pytest.raises(RequestError, match="is no figure of an earlier report"):
        make_report(tmp_path, form="md", out=made.path, now=NOW)
    made.path.write_bytes(before[made.path])
    there = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert there == before
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_the_default_place_is_below_the_results_and_never_taken(tmp_path: Path) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    names = [make_report(tmp_path, now=NOW).path for _ in range(2)]
    assert [path.name for path in names] == [
        "report-20260131-140500-en.html",
        "report-20260131-140500-en-2.html",
    ]
    assert {path.parent for path in names} == {tmp_path / "reports"}


def test_steps_are_told_in_their_order(tmp_path: Path) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    told: list[str] = []
    make_report(tmp_path, on_step=told.append)
    assert tuple(told) == STEPS


def test_nothing_to_report_on_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there are no activations"):
        make_report(tmp_path)
    with pytest.raises(RequestError, match="format is 'pdf'"):
        make_report(tmp_path, form="pdf")
    assert not (tmp_path / "reports").exists()
