"""The sections on causes and on heads in both languages."""

from pathlib import Path

import pytest

from emoact.report.making import make_report
from tests.support.planted import plant_grid
from tests.support.planted_causes import LATER, plant_ablations, plant_steering
from tests.support.planted_heads import plant_heads, plant_lens


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"], n_samples=3)


@pytest.mark.parametrize(
    ("lang", "steered", "ablated"),
    [
        (
            "en",
            "layer 1, dose 1: +0.500 [+0.200, +0.600] nats a token for sentences of the emotion",
            "excludes 0 is that of MLP 1: \N{MINUS SIGN}2 [\N{MINUS SIGN}2.1, "
            "\N{MINUS SIGN}1.9], of which \N{MINUS SIGN}1 is direct",
        ),
        (
            "ja",
            "第1層、強さ1: この感情の文は1トークンあたり+0.500 [+0.200, +0.600] nat",
            "MLP 1を除いた場合（mean）の\N{MINUS SIGN}2 [\N{MINUS SIGN}2.1, \N{MINUS SIGN}1.9]",
        ),
    ],
)
def test_verdicts_doses_and_parts(tmp_path: Path, lang: str, steered: str, ablated: str) -> None:
    plant_steering(tmp_path)
    plant_ablations(tmp_path)
    text = make_report(tmp_path, lang=lang, form="md").path.read_text().replace("\\", "")
    assert steered in text
    assert ablated in text
    assert "doses-1.svg" in text
    assert "ablations-1.svg" in text
    for said in {
        "en": (
            "causal in 1 of 4 cells",
            "larger than with each of 2 other splits of the scenarios",
            "without them and the model is broken: 1.",
            "specific to the emotion",
            "+0.100 for its own sentences under directions of other emotions",
            "“I am so angry.” before the text changes sentences of the emotion by +0.700 nats a "
            "token, and neutral sentences before it by +0.600",
        ),
        "ja": (
            "4個の組（感情×層×対照のある強さ）のうち1個",
            "この感情に特異的です",
            "他の感情の方向を加えるとこの感情の文は+0.100",
            "+0.700 nat変化し、中立の文を前に置くと+0.600",
        ),
    }[lang]:
        assert said in text


def test_the_commands_of_what_is_shown_make_it_again(tmp_path: Path) -> None:
    plant_steering(tmp_path)
    plant_ablations(tmp_path)
    text = make_report(tmp_path, form="md").path.read_text()
    assert "emoact steer --model gpt2 --emotion=anger --emotion=gratitude --layer=0" in text
    assert "emoact ablate --model gpt2 --emotion anger --layer 2 --part=direction" in text
    assert str(tmp_path) not in text


def test_an_earlier_result_is_shown_with_the_columns_it_lacks(tmp_path: Path) -> None:
    plant_steering(tmp_path, earlier=True)
    text = make_report(tmp_path, form="md").path.read_text().replace("\\", "")
    assert f"It has no {', '.join(LATER)}, and its word specific" in text
    assert "layer 1, dose 1: +0.500 nats a token" in text


def test_random_weights_say_nothing(tmp_path: Path) -> None:
    plant_steering(tmp_path, random_weights=True)
    text = make_report(tmp_path, form="md").path.read_text()
    assert "the weights are random, which says nothing about emotion" in text
    assert "nats a token for sentences" not in text


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
    left_out = (
        "Not included: 1 result about causes" if lang == "en" else "1件の結果は含まれていません"
    )
    assert left_out not in text
    plant_heads(tmp_path, "anger", version=0)
    assert left_out in make_report(tmp_path, lang=lang, form="md").path.read_text()


def test_without_a_result_there_is_no_section(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"], n_samples=3)
    text = make_report(tmp_path, form="md").path.read_text()
    assert "What a direction does" not in text
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
