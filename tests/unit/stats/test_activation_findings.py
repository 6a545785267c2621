import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy.stats import kruskal

from emoact.decode import encode
from emoact.stats.findings.activations import activation_findings
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.findings.prompts import length_p
from emoact.store.summaries.measures import UnitMeasures
from tests.support.measured import Arrays, Plant, gaussian_unit

EMOTIONS = ("gratitude", "anger", "apology", "neutral")


def grid(plant: Plant | None = None, **options: Any) -> list[UnitMeasures]:
    """Four clean classes; the plant goes into anger."""
    return [
        gaussian_unit(emotion, plant=plant if emotion == "anger" else None, **options)
        for emotion in EMOTIONS
    ]


def only(found: tuple[ActivationFinding, ...], kind: str) -> ActivationFinding:
    assert {finding.kind for finding in found} == {kind}, [f.sentence for f in found]
    return found[0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "shape",
    [
        {"d_model": 8, "n_layers": 2, "n_samples": 5},
        {"d_model": 64, "n_layers": 6, "n_samples": 20},
        {"d_model": 768, "n_layers": 3, "n_samples": 8},
        {"d_model": 16, "n_layers": 12, "n_samples": 50},
        {"d_model": 32, "n_layers": 1, "n_samples": 2},
    ],
    ids=lambda shape: "x".join(map(str, shape.values())),
)
def test_clean_activations_give_no_finding(seed: int, shape: dict[str, Any]) -> None:
    assert activation_findings(grid(None, seed=seed, **shape)) == ()


def test_without_units_there_is_nothing_to_find() -> None:
    assert activation_findings([]) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_is_found_where_it_is(value: float) -> None:
    def plant(arrays: Arrays) -> None:
        arrays["mlp_out"][2][7][3, 5] = value

    found = only(activation_findings(grid(plant)), "nonfinite_values")
    assert found.severity == "error"
    assert (found.model, found.emotion, found.site, found.layers) == (
        "gpt2",
        "anger",
        "mlp_out",
        (2,),
    )
    assert (found.figures["n_values"], found.figures["prompt"]) == (1, "anger-7")
    assert "1 value of the MLP output in 1 token of 1 prompt" in found.sentence
    assert found.view["prompt"] == "anger-7"


@pytest.mark.parametrize(("value", "how"), [(0.0, "zero"), (3.5, "constant (3.50)")])
def test_a_dimension_that_never_changes_is_found(value: float, how: str) -> None:
    def plant(arrays: Arrays) -> None:
        for sample in arrays["resid_pre"][1]:
            sample[:, 9] = value

    found = only(activation_findings(grid(plant)), "dead_dimensions")
    assert found.figures["dimension"] == 9
    assert found.layers == (1,)
    assert how in found.sentence
    assert found.matters

    everywhere = [gaussian_unit(emotion, plant=plant) for emotion in EMOTIONS]
    found = only(activation_findings(everywhere), "dead_dimensions")
    assert not found.matters
    assert "every class" in found.sentence


def test_a_dimension_that_is_another_constant_in_each_class_is_an_error() -> None:
    def planted(value: float) -> Plant:
        def plant(arrays: Arrays) -> None:
            for sample in arrays["resid_pre"][1]:
                sample[:, 9] = value

        return plant

    units = [gaussian_unit(e, plant=planted(7.0 if e == "anger" else 1.0)) for e in EMOTIONS]
    found = only(activation_findings(units), "dead_dimensions")
    assert (found.severity, found.matters, found.figures["dimension"]) == ("error", True, 9)
    assert "has another value in another class" in found.sentence
    assert "alone tells the classes apart" in found.phase3


@pytest.mark.parametrize("d_model", [32, 768])
def test_a_dimension_of_fifty_times_the_scale_is_found_with_its_share(d_model: int) -> None:
    def plant(arrays: Arrays) -> None:
        for layer in (1, 2):
            for sample in arrays["resid_pre"][layer]:
                sample[:, 5] *= 50

    # A Gaussian dimension of that scale makes the norms of single tokens large as well.
    (found,) = (
        f for f in activation_findings(grid(plant, d_model=d_model)) if f.kind == "rogue_dimensions"
    )
    assert found.layers == (1, 2)
    assert found.figures["dimension"] == 5
    assert found.figures["n_dimensions"] == 1
    # The median of a few hundred tokens stands for the scale within a quarter.
    assert found.figures["ratio"] == pytest.approx(50, rel=0.25)
    assert found.figures["share"] == pytest.approx(2500 / (2500 + d_model - 1), rel=0.25)


@pytest.mark.parametrize("factor", [5.0, 0.2])
def test_one_prompt_of_another_size_is_found(factor: float) -> None:
    def plant(arrays: Arrays) -> None:
        for layer in arrays["resid_pre"]:
            layer[4][1:] *= factor

    # A sink of its own prompt and massive tokens follow from a prompt that is five times as large.
    found = [
        f for f in activation_findings(grid(plant, n_samples=20)) if f.kind == "outlier_prompts"
    ]
    assert [f.figures["prompt"] for f in found] == ["anger-4"]
    assert found[0].layers == (0, 1, 2, 3)
    assert found[0].figures["ratio"] == pytest.approx(factor, rel=0.3)
    assert (found[0].emotion, found[0].figures["n_prompts"]) == ("anger", 1)


def test_a_massive_content_token_is_found_with_its_word_and_dimension() -> None:
    def plant(arrays: Arrays) -> None:
        for prompt in (2, 3, 5):
            arrays["resid_pre"][2][prompt][4, 7] = 400.0

    found = only(activation_findings(grid(plant)), "massive_tokens")
    assert found.layers == (2,)
    assert found.figures["n_tokens"] == 3
    assert found.figures["n_prompts"] == 3
    assert found.figures["dimensions"] == "7"
    assert "“t4” ×3" in found.sentence
    # sqrt(32) * 3 is the norm of an ordinary token of that layer.
    assert found.figures["ratio"] == pytest.approx(400 / (3 * np.sqrt(32)), rel=0.1)
    assert (found.figures["most_emotion"], found.figures["most_share"]) == ("anger", 3 / 12)


def test_a_sink_is_found_and_matters_only_where_no_bos_was_prepended() -> None:
    def plant(arrays: Arrays) -> None:
        for sample in arrays["resid_pre"][3]:
            sample[0] *= 40

    units = [gaussian_unit(emotion, plant=plant) for emotion in EMOTIONS]
    found = only(activation_findings(units), "first_token_sink")
    assert found.figures["ratio"] == pytest.approx(40, rel=0.2)
    assert (found.severity, found.matters, found.layers) == ("note", False, (3,))

    units = [gaussian_unit(e, plant=plant, bos=None, content_start=0) for e in EMOTIONS]
    found = only(activation_findings(units), "first_token_sink")
    assert (found.severity, found.matters) == ("warning", True)


def test_classes_of_unequal_length_are_found() -> None:
    rng = np.random.default_rng(3)
    units = [
        gaussian_unit(e, lengths=(rng.integers(8, 14, 20) * (2 if e == "neutral" else 1)).tolist())
        for e in EMOTIONS
    ]
    found = only(activation_findings(units), "unequal_lengths")
    assert found.figures["long_emotion"] == "neutral"
    assert found.figures["p"] == 1 / 2000
    neutral = next(unit for unit in units if unit.emotion == "neutral")
    assert found.figures["long_mean"] == pytest.approx(np.mean(neutral.lengths) - 1)


def test_the_rank_test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(8)
    groups = [rng.integers(5, 16, 15).astype(float) + shift for shift in (0, 1, 2)]
    # Two thousand permutations know a probability within .03.
    assert length_p(groups) == pytest.approx(kruskal(*groups).pvalue, abs=0.03)


@pytest.mark.parametrize("known", [True, False])
def test_mixed_bos_policies_are_found(known: bool) -> None:
    units = grid()
    units[0] = gaussian_unit("gratitude", bos=None, content_start=0)
    if not known:
        units = [dataclasses.replace(unit, configuration=None) for unit in units]
    found = only(activation_findings(units), "mixed_settings")
    assert found.severity == "error"
    assert "not prepended in gratitude" in found.sentence
    assert "bos" in str(found.figures["fields"])


def test_settings_that_differ_are_named_within_and_between_models() -> None:
    units = [*grid(), *grid(folder="pythia-160m", dtype="bfloat16", bos="<|x|>")]
    found = only(activation_findings(units), "mixed_settings")
    assert (found.model, found.figures["fields"]) == ("", "dtype")
    units = grid()
    units[1] = gaussian_unit("anger", revision="step1000")
    found = only(activation_findings(units), "mixed_settings")
    assert (found.model, found.figures["fields"]) == ("gpt2", "revision")


@pytest.mark.parametrize(
    ("other", "field"), [({"n_layers": 3}, "n_layers"), ({"d_model": 16}, "d_model")]
)
def test_files_of_another_shape_are_found(other: dict[str, Any], field: str) -> None:
    units = [gaussian_unit(e, **(other if e == "anger" else {})) for e in EMOTIONS]
    found = only(activation_findings(units), "mixed_settings")
    assert found.figures["fields"] == field


def test_a_file_that_lacks_a_site_is_found() -> None:
    units = grid()
    units[1] = dataclasses.replace(
        units[1], saved_sites=("resid_pre",), sites={"resid_pre": units[1].sites["resid_pre"]}
    )
    found = only(activation_findings(units), "mixed_settings")
    assert "sites is resid_pre and mlp_out in gratitude" in found.sentence


@pytest.mark.parametrize(("factor", "severity"), [(0.0, "error"), (0.01, "warning")])
def test_a_layer_whose_norm_collapses_is_found(factor: float, severity: str) -> None:
    def plant(arrays: Arrays) -> None:
        for sample in arrays["mlp_out"][2]:
            sample *= factor

    units = [gaussian_unit(emotion, plant=plant) for emotion in EMOTIONS]
    found = only(activation_findings(units), "norm_collapse")
    assert (found.site, found.layers, found.severity) == ("mlp_out", (2,), severity)


def test_findings_are_plain_values_and_lead_to_a_view() -> None:
    import json

    def plant(arrays: Arrays) -> None:
        arrays["mlp_out"][2][7][3, 5] = np.nan
        for layer in arrays["resid_pre"]:
            for sample in layer:
                sample[:, 3] *= 50

    for finding in activation_findings(grid(plant)):
        json.dumps(encode(finding), allow_nan=False)
        assert finding.view["view"] in {"norms", "prompt", "dimensions", "distribution"}
        assert finding.sentence.endswith(".")
        assert finding.meaning
        assert finding.phase3.startswith("Yes" if finding.matters else "No")


def test_layers_are_named_in_few_words() -> None:
    assert span((3,)) == "layer 3"
    assert span((3, 4, 5)) == "layers 3 to 5"
    assert span((1, 2, 7)) == "layers 1, 2 and 7"
    assert span((1, 3, 5, 7, 29)) == "5 layers from 1 to 29"
