"""Files of every model family equal plain Hugging Face, and docs/models.md says what was found."""

from pathlib import Path

import pytest

from emoact.sites import saved_sites
from scripts.write_models import PAGE, row, without_figures
from tests.support.families import FAMILIES, Family
from tests.support.whole_path import measure

PARITY = 1e-5


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_files_equal_hugging_face_one_prompt_at_a_time_as_documented(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    measured = measure(family, tmp_path)
    assert all(value <= PARITY for value in measured.differences.values())
    # A site that is not compared is refused.
    assert bool(measured.refusal) == (set(measured.differences) != set(saved_sites()))
    page = without_figures(PAGE.read_text(encoding="utf-8"))
    assert without_figures(row(family, measured)) in page


def test_the_page_has_no_other_family() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line.startswith("| ") and "(`" in line.split("|")[1]]
    assert len(named) == len(FAMILIES)
