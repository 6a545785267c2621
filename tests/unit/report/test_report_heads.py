"""The section on heads in both languages."""

from pathlib import Path

import pytest

from emoact.report.making import make_report
from tests.support.planted import plant_grid
from tests.support.planted_heads import plant_heads, plant_lens


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "en",
            "heads add 1.20 (relabelled prompts 0.0800) and MLPs 0.700 (0.0400); 1 of 7 components "
            "add more",
        ),
        ("ja", "headの寄与は1.20（ラベル置換では0.0800）"),
    ],
)
def test_the_section_says_sums_and_draws_the_largest(tmp_path: Path, lang: str, said: str) -> None:
    plant_grid(tmp_path, ["gpt2"], n_samples=3)
    plant_heads(tmp_path)
    plant_heads(tmp_path, "anger", model="gone")
    text = make_report(tmp_path, lang=lang, form="md").path.read_text()
    assert said in text
    assert "largest-1.svg" in text
    # Results of a model whose files are gone are left out.
    assert "gone" not in text


def test_without_a_result_there_is_no_section(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"], n_samples=3)
    text = make_report(tmp_path, form="md").path.read_text()
    assert "Components that write a direction" not in text


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "most (p = 0.010), against 100 random directions"),
        ("ja", "100個のランダムな方向です"),
    ],
)
def test_the_lens_of_a_direction_stands_beside_it(tmp_path: Path, lang: str, said: str) -> None:
    plant_grid(tmp_path, ["gpt2"], n_samples=3)
    plant_heads(tmp_path)
    plant_lens(tmp_path)
    text = make_report(tmp_path, lang=lang, form="md").path.read_text()
    assert said in text.replace("\\'", "'")
    assert "lens-1.svg" in text
