import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emoact.stats.findings.remarks import SEVERAL
from scripts import (
    calibration_copies,
    calibration_designs,
    calibration_heads,
    calibration_page,
    calibration_steering,
    compare_versions,
)

PAGE = Path(__file__).parents[3] / "docs" / "calibration.md"


def section(name: str) -> list[list[str]]:
    """Cells of the rows of a section of the page."""
    text = PAGE.read_text(encoding="utf-8").split(f"<!-- {name} -->")[1].split("<!--")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[2:]


def counted(cell: str) -> tuple[int, int]:
    found = re.match(r"(\d+) of (\d+)", cell)
    assert found is not None
    return int(found[1]), int(found[2])


def test_the_map_of_heads_has_no_more_false_alarms_than_stated() -> None:
    rows = section("heads")
    assert {tuple(row[:2]) for row in rows} == {
        (design, kind) for design in calibration_heads.DESIGNS for kind in calibration_heads.KINDS
    }
    for _, _, cell, _ in rows:
        alarms, n = counted(cell)
        assert n >= 2000
        # Two standard errors above 5 %.
        assert alarms <= n * (0.05 + 2 * math.sqrt(0.05 * 0.95 / n))
    first = calibration_heads.false_alarm("matched", "one massive head", (1, 2))
    assert first == calibration_heads.false_alarm("matched", "one massive head", (1, 2))


def test_random_weights_are_seldom_called_causal() -> None:
    rows = section("steering")
    assert {row[0] for row in rows} == set(calibration_steering.FAMILIES)
    for _, _, cell, _ in rows:
        alarms, n = counted(cell)
        assert n >= 200
        assert alarms <= 0.05 * n
    first = calibration_steering.called_causal("llama", (1, 2))
    assert first == calibration_steering.called_causal("llama", (1, 2))


def test_data_set_is_a_function_of_its_seed() -> None:
    arguments = ("matched", "one emotion", "steep, rotated", (1, 2))
    first = calibration_designs.judge_grid(*arguments)
    assert first == calibration_designs.judge_grid(*arguments)


def test_planted_effect_of_any_kind_is_not_counted_as_a_false_alarm() -> None:
    for part in calibration_designs.PARTS:
        found = calibration_designs.judge_grid("matched", part, "isotropic", (3, 1))
        assert found.alone < 0.3


@pytest.mark.parametrize("spectrum", calibration_designs.SPECTRA)
def test_spectrum_has_the_mean_variance_of_white_noise(spectrum: str) -> None:
    matrix = calibration_designs.spread_of(spectrum, np.random.default_rng(0))
    assert np.trace(matrix.T @ matrix) / len(matrix) == pytest.approx(1)


def test_section_of_the_page_is_exchanged_alone() -> None:
    put = partial(calibration_page.put, order=("power", "words"))
    changed = put(put(put("", "words", "old"), "power", "kept"), "words", "new")
    assert "old" not in changed
    assert changed.index("kept") < changed.index("new")


def test_page_holds_every_condition_and_marks_what_is_above() -> None:
    rows = section("significance")
    designs = calibration_designs
    n_rows = len(designs.LAYOUTS) * len(designs.PARTS) * len(designs.SPECTRA)
    assert len(rows) == n_rows
    for row in rows:
        for cell in row[4:]:
            if cell != "–":
                count, of = counted(cell)
                assert of >= 200
                above = count > of * 0.05 + 2 * np.sqrt(of * 0.05 * 0.95)
                assert ("above" in cell) == above


@pytest.mark.parametrize("layout", calibration_designs.LAYOUTS)
def test_false_alarms_of_all_rows_of_a_layout_are_five_percent_on_the_page(layout: str) -> None:
    for column in (4, 5):
        cells = [row[column] for row in section("significance") if row[0] == layout]
        counts = [counted(cell) for cell in cells if cell != "–"]
        found, of = np.sum(counts, axis=0)
        assert found / of <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / of)


def test_no_rate_of_coverage_on_the_page_is_clearly_outside_of_93_to_97_percent() -> None:
    rows = section("coverage")
    assert len(rows) == 45
    for *_, square, d_prime, auroc, n in rows:
        assert int(n) >= 1000
        for cell in (square, d_prime, auroc):
            assert cell == calibration_page.share_covered(float(cell.rstrip(" %")) / 100, int(n))
            assert "outside" not in cell
    assert calibration_page.share_covered(0.98, 2000) == "98.0 % **outside**"
    assert "outside" in calibration_page.share_covered(0.91, 1000)


def test_intervals_of_shares_are_too_wide_near_one_only_on_the_page() -> None:
    cells = [row[3] for row in section("accuracies")]
    cells += [row[4] for row in section("order") if float(row[2]) < 1 - 1 / 12]
    assert len(cells) == 24
    assert not [cell for cell in cells if "outside" in cell]


def test_words_are_seldom_called_beyond_words_on_the_page() -> None:
    for _, cell, *_ in section("words"):
        assert "above" not in cell


def test_ten_points_are_seldom_called_none_on_the_page() -> None:
    gains = [row for row in section("gains") if float(row[2].split()[0]) >= 9]
    assert len(gains) >= 3
    for row in gains:
        of = counted(row[3])[1]
        assert float(row[4].rstrip(" %")) <= 5 + 200 * np.sqrt(0.05 * 0.95 / of)


def square(power: int, seed: tuple[int, ...]) -> calibration_designs.Levels:
    return calibration_designs.Levels(alone=float(seed[0] ** power), anywhere=True, strong=False)


def test_run_that_was_stopped_goes_on_where_it_ended(tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    def work(seeds: Sequence[tuple[int, ...]]) -> list[calibration_designs.Levels]:
        asked.extend(seeds)
        return [run(seed) for seed in seeds]

    run, path = partial(square, 2), tmp_path / "kept.jsonl"
    late = calibration_page.Kept(path, until=-math.inf)
    assert late.found(run, [(1,)], work) == []
    calibration_page.Kept(path).found(run, [(1,), (2,)], work)
    again = calibration_page.Kept(path).found(run, [(1,), (2,), (3,)], work)
    assert [each.alone for each in again] == [1, 4, 9]
    assert asked == [(1,), (2,), (3,)]
    assert calibration_page.Kept(path, rows="cube").found(run, [(1,)], work) == []


def test_row_without_figures_stays_as_the_page_has_it() -> None:
    old = [("a", "10", "5 %"), ("b", "10", "6 %")]
    rows = [(("a", "10"), ("7 %",)), (("b", "10"), ()), (("c", "10"), ())]
    assert calibration_page.with_old(rows, old) == [("a", "10", "7 %"), ("b", "10", "6 %")]


def test_near_copies_are_a_warning_where_false_alarms_leave_five_percent() -> None:
    said = set[tuple[float, bool]]()
    for name, copies in (
        ("copies", calibration_copies.COPIES),
        ("copies_wide", calibration_copies.FEW),
    ):
        rows = section(name)
        assert len(rows) == len(copies)
        said |= {(float(row[0].rstrip(" %")) / 100, "above" in " ".join(row)) for row in rows}
        assert min(counted(cell)[1] for row in rows for cell in row[1:]) >= 2000
    assert min(share for share, is_above in said if is_above) == SEVERAL
    assert {share for share, is_above in said if not is_above} <= {0, 0.01}
    arguments = ("steep, rotated", 20, 48, (1, 2))
    assert calibration_copies.significant(*arguments) == calibration_copies.significant(*arguments)


def test_controls_as_noisy_as_the_prompts_are_seldom_excluded_on_the_page() -> None:
    rows = section("noise")
    assert len(rows) == len(calibration_designs.SPECTRA) * len(calibration_designs.NOISE_SIZES)
    for row in rows:
        found, of = counted(row[2])
        assert found <= 0.05 * of


def test_every_row_of_what_two_versions_conclude_is_on_the_page_with_a_test_that_exists() -> None:
    text = compare_versions.PAGE.read_text(encoding="utf-8").split(compare_versions.BEGIN)[1]
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    page = {planted: (before, now, test) for planted, before, now, test in lines[1:19]}
    assert len(page) == len(compare_versions.ROWS) == 18
    for row, file, test in compare_versions.ROWS:
        before, now, named = page[compare_versions.planted_in(row)]
        assert before != now
        assert named == f"`{file}.py::test_{test}`"
        assert f"def test_{test}(" in (Path(__file__).parent / f"{file}.py").read_text("utf-8")
