import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emoact.analysis.sentences import sentences_of
from emoact.decode import decode, encode
from emoact.errors import CancelledError, RequestError
from emoact.sites import SiteName
from emoact.stats import catalogue
from emoact.stats.across.between import matched_layers
from emoact.stats.across.shared import common_rows
from emoact.stats.comparable import Configuration
from emoact.stats.features import Controls, PromptInfo, UnitFeatures, features_of, join_units
from emoact.stats.finite import finite_units
from emoact.stats.full import analyse_grid, run_steps
from emoact.stats.products import centred_gram
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.store.unit import Samples, Unit
from tests.support.planted_features import unit_of
from tests.support.planted_scenarios import FAST

EMOTIONS = ("gratitude", "anger", "neutral")
SITES: tuple[SiteName, ...] = ("resid_pre", "mlp_out")
PLAIN = dataclasses.replace(FAST, sites=("resid_pre",), probes=("mass_mean",))
CUES = {"gratitude": "thank you", "anger": "how dare you", "neutral": "there was"}


def make_unit(
    model: str = "m0",
    emotion: str = "anger",
    *,
    n: int = 12,
    n_layers: int = 3,
    d_model: int = 10,
    seed: int = 0,
    scenarios: bool = True,
    sites: Sequence[SiteName] = SITES,
) -> UnitFeatures:
    """Layer 0 is noise, the later layers hold the emotion along a dimension of its own."""
    label = EMOTIONS.index(emotion) if emotion in EMOTIONS else 3
    rng = np.random.default_rng([seed, label, len(model), ord(model[-1])])
    pooled: dict[SiteName, np.ndarray] = {}
    for site in sites:
        x = rng.normal(size=(n, n_layers, d_model))
        if emotion != "neutral":
            x[:, 1:, label % d_model] += 5
        pooled[site] = x
    cue = CUES.get(emotion, "word")
    return unit_of(
        model,
        emotion,
        pooled,
        scenarios=scenarios,
        subsets=("implicit", "explicit"),
        texts=[f"{cue} {'abcdefgh'[i % 8]} soup {i}." for i in range(n)],
        lengths=[5 + i % 3 for i in range(n)],
    )


def make_grid(
    models: Mapping[str, Mapping[str, Any]] | None = None, emotions: Sequence[str] = EMOTIONS
) -> list[UnitFeatures]:
    models = models or {"m0": {}, "m1": {}}
    return [make_unit(name, e, **kwargs) for name, kwargs in models.items() for e in emotions]


def rows(result: AnalysisResult, table: str) -> list[Any]:
    return list(result.tables[table].itertuples())


@pytest.fixture(scope="module")
def result() -> AnalysisResult:
    return analyse_grid(make_grid({"m0": {}, "m1": {"d_model": 14, "n_layers": 4}}), FAST)


def test_every_table_has_its_rows(result: AnalysisResult) -> None:
    layers, pairs = 3 + 4, 3
    sizes = {name: len(rows) for name, rows in result.tables.items()}
    assert sizes == {
        "headline": 2 * 2 * 2 * 2,
        "strength": 2 * 2 * layers,
        "stability": 2 * 2 * layers,
        "variants": 2 * 2 * layers * 3,
        "distances": 2 * layers,
        "probes": 2 * 2 * layers * 3 * 2,
        "baselines": 2 * 2 * 2 * 7,
        "pairs": 2 * 2 * 2,
        "similarity": 2 * 3 * pairs,
        "across": 2 * 2 * pairs,
        "maps": 2 * (3 + 2) * 3 * 4,
        "points": 2 * 2 * layers * 36,
        "axes": 2 * 2 * layers * 3,
    }


def test_tables_have_the_columns_and_types_of_the_catalogue(result: AnalysisResult) -> None:
    assert list(result.tables) == [table.name for table in catalogue.TABLES]
    for table in catalogue.TABLES:
        frame = result.tables[table.name]
        kinds = {name: catalogue.DTYPES[each.kind] for name, each in table.columns.items()}
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == kinds
        assert list(frame) == list(kinds)


def test_a_planted_emotion_is_found_only_where_it_is(result: AnalysisResult) -> None:
    for row in rows(result, "strength"):
        assert row.significant == (row.layer > 0), row
        assert row.p <= row.p_max <= row.p_strong
        if row.layer:
            assert row.auroc > 0.9
            assert row.cv > row.null_high


def test_only_the_plain_distance_of_orthogonal_emotions_is_lifted(result: AnalysisResult) -> None:
    late = [row for row in rows(result, "distances") if row.layer]
    assert np.mean([row.cosine - row.cv_cosine for row in late]) > 0
    assert abs(np.mean([row.cv_cosine for row in late])) < 0.15
    assert {row.expectation for row in late} == {0.5}


def test_models_of_other_sizes_have_everything_but_the_raw_cosine(result: AnalysisResult) -> None:
    assert all(math.isnan(row.raw_cos) for row in rows(result, "across"))
    assert all(math.isfinite(row.procrustes) for row in rows(result, "across") if row.layer_a)
    assert [row.layer_b for row in rows(result, "across")[:3]] == [0, 2, 3]
    codes = {finding.code for finding in result.findings}
    assert {"raw_cosine_refused", "layers_matched_by_depth"} <= codes


def test_result_does_not_depend_on_workers_or_the_order_of_steps() -> None:
    units = make_grid({"m0": {"sites": ("resid_pre",)}, "m1": {"sites": ("resid_pre",)}})
    settings = dataclasses.replace(FAST, sites=("resid_pre",))
    one, three = (analyse_grid(units, settings, workers=n).tables for n in (1, 3))
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, three[name], check_exact=True)
    assert math.isfinite(one["across"]["raw_cos"][0])


def test_band_of_the_raw_cosine_relabels_the_two_models_independently() -> None:
    units = make_grid({"m0": {}})
    twins = [dataclasses.replace(unit, model="m1") for unit in units]
    for row in rows(analyse_grid([*units, *twins], PLAIN), "across"):
        assert row.raw_cos == pytest.approx(1)
        assert row.raw_low < 0 < row.raw_high < 0.95
        assert row.score_corr_raw == pytest.approx(1)
        assert row.procrustes == pytest.approx(1)


def test_progress_ends_with_every_step_done() -> None:
    seen: list[tuple[int, int, str]] = []
    analyse_grid(make_grid({"m0": {}}), PLAIN, lambda *step: seen.append(step))
    total = seen[0][1]
    assert [done for done, _, _ in seen] == list(range(total + 1))
    assert all(of == total for _, of, _ in seen)
    assert "probes of m0 resid_pre anger" in {label for _, _, label in seen}


def test_progress_can_stop_the_analysis() -> None:
    def cancel(done: int, total: int, label: str) -> None:
        if done == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        analyse_grid(make_grid(), FAST, cancel)


def test_failed_step_stops_those_that_have_not_started() -> None:
    ran: list[int] = []

    def fail() -> None:
        raise ValueError("broken")

    def work() -> None:
        ran.append(1)

    steps = [("bad", fail), *[("good", work)] * 50]
    with pytest.raises(ValueError, match="broken"):
        run_steps(steps, workers=1)
    assert len(ran) < 50


def test_missing_neutral_is_refused_and_the_grand_mean_offered() -> None:
    units = make_grid({"m0": {}}, ("gratitude", "anger"))
    with pytest.raises(RequestError, match="m0 has no class 'neutral'") as refusal:
        analyse_grid(units, FAST)
    assert "grand mean" in str(refusal.value)
    found = analyse_grid(units, dataclasses.replace(PLAIN, reference="grand_mean"))
    assert {key.kind for key in found.directions} == {"grand_mean"}
    assert {row.emotion for row in rows(found, "strength")} == {"gratitude", "anger"}
    assert {row.expectation for row in rows(found, "distances")} == {-1.0}
    assert any(row.significant for row in rows(found, "strength"))


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(RequestError, match="needs two"):
        analyse_grid([make_unit(emotion="neutral")], FAST)
    with pytest.raises(RequestError, match="no unit"):
        analyse_grid([], FAST)


def test_one_sample_per_class_gives_plain_directions_and_says_why_not_more() -> None:
    found = analyse_grid(make_grid({"m0": {"n": 1}}), FAST)
    assert "single_scenario" in {finding.code for finding in found.findings}
    strength = found.tables["strength"]
    assert np.isfinite(strength["l2"]).all()
    assert strength[["cv", "auroc", "p", "p_strong"]].isna().all(axis=None)
    assert not strength["significant"].any()
    assert set(found.tables["headline"]["verdict"]) == {"undecided"}


@pytest.mark.parametrize("scenarios", [True, False])
def test_few_prompts_are_named_and_give_no_verdict_on_words(scenarios: bool) -> None:
    n = 5 if scenarios else 1
    units = make_grid({"m0": {"n": n, "scenarios": scenarios, "sites": ("resid_pre",)}})
    found = analyse_grid(units, dataclasses.replace(FAST, sites=("resid_pre",)))
    messages = [each.message for each in found.findings if each.code == "few_scenarios"]
    unit = "scenarios" if scenarios else "prompts"
    assert [message.partition(";")[0] for message in messages] == [f"there are {max(n, 3)} {unit}"]
    assert {row.verdict for row in rows(found, "headline")} == {"undecided"}
    assert not {row.verdict for row in rows(found, "pairs")} - {"undecided"}


@pytest.mark.parametrize("n", [6, 8])
def test_what_no_data_of_so_few_scenarios_could_show_is_undecided(n: int) -> None:
    """Of 6 scenarios there are 32 relabellings: two emotions cannot have a p below .06."""
    units = make_grid({"m0": {"n": n, "sites": ("resid_pre",)}})
    found = analyse_grid(units, dataclasses.replace(FAST, sites=("resid_pre",)))
    rows_of_all = [row for row in rows(found, "headline") if row.evaluation == "cross_validated"]
    assert {row.verdict == "undecided" for row in rows_of_all} == {n == 6}
    named = "cannot_be_significant" in {each.code for each in found.findings}
    assert named == ("no data of so few" in sentences_of(found)["m0"]) == (n == 6)


def test_scenarios_of_explicit_and_implicit_prompts_are_named() -> None:
    apart = [make_unit(emotion=emotion) for emotion in EMOTIONS[1:]]
    together = [
        dataclasses.replace(
            unit,
            prompts=tuple(
                dataclasses.replace(prompt, scenario_id=f"s{number // 2}")
                for number, prompt in enumerate(unit.prompts)
            ),
        )
        for unit in apart
    ]
    named = [
        [each.message for each in analyse_grid(units, PLAIN).findings if each.code == code]
        for units in (apart, together)
        for code in ("transfer_shares_scenarios",)
    ]
    assert named[0] == []
    assert named[1][0].startswith("6 of 6 scenarios hold explicit and implicit prompts")


def test_one_sample_in_one_class_is_named() -> None:
    units = [make_unit(emotion="anger", n=1), make_unit(emotion="neutral")]
    found = analyse_grid(units, PLAIN)
    places = {(finding.code, finding.where) for finding in found.findings}
    assert ("one_sample", "m0/anger") in places
    assert not any(row.significant for row in rows(found, "strength"))
    assert all(math.isnan(row.p_family) for row in rows(found, "headline"))


@pytest.mark.parametrize("classes", [("gratitude", "anger"), EMOTIONS])
def test_null_of_the_grand_mean_is_in_the_units_of_its_strength(classes: tuple[str, ...]) -> None:
    settings = dataclasses.replace(PLAIN, reference="grand_mean")
    units = make_grid({"m0": {"sites": ("resid_pre",), "d_model": 40}}, classes)
    found = analyse_grid(units, settings, workers=1)
    x = np.concatenate([unit.sites["resid_pre"][:, 0] for unit in units]).astype(np.float64)
    share = (len(classes) - 1) / len(classes)
    # Twelve matched scenarios: labels swapped by hand, pairs of one scenario left out.
    rng, n, squares = np.random.default_rng(0), 12, []
    for _ in range(4000):
        order = rng.random((n, len(classes))).argsort(axis=1)
        drawn = x.reshape(len(classes), n, -1).swapaxes(0, 1)[np.arange(n)[:, None], order]
        delta = share * (drawn[:, 0] - drawn[:, 1:].mean(axis=1))
        squares.append(((delta.sum(0) ** 2).sum() - (delta**2).sum()) / (n * (n - 1)))
    low, high = np.quantile(squares, (0.025, 0.975))
    (row,) = (r for r in rows(found, "strength") if (r.layer, r.emotion) == (0, classes[0]))
    assert row.null_high**2 == pytest.approx(high, rel=0.15)
    assert -(row.null_low**2) == pytest.approx(low, rel=0.15)


def test_prompts_without_scenarios_are_resampled_one_by_one() -> None:
    found = analyse_grid(make_grid({"m0": {"scenarios": False}}), PLAIN)
    assert "no_scenarios" in {finding.code for finding in found.findings}
    assert any(row.significant for row in rows(found, "strength"))
    assert all(math.isnan(row.pairwise) for row in rows(found, "stability"))


def with_nan(unit: UnitFeatures, prompt: int) -> UnitFeatures:
    pooled = unit.sites["mlp_out"].copy()
    pooled[prompt, 1, 4] = np.nan
    return dataclasses.replace(unit, sites={**unit.sites, "mlp_out": pooled})


def test_nan_is_named_and_left_out_on_request_only() -> None:
    units = make_grid()
    units[1] = with_nan(units[1], 3)
    with pytest.raises(RequestError, match=r"m0/anger: .*mlp_out layer 1, prompts anger-3"):
        analyse_grid(units, FAST)
    found = analyse_grid(units, dataclasses.replace(PLAIN, sites=SITES, leave_out_nonfinite=True))
    assert [f.where for f in found.findings if f.code == "nonfinite_features"] == ["m0/anger"]
    sizes = {(row.model, row.emotion): row.n_emotion for row in rows(found, "strength")}
    assert sizes["m0", "anger"] == 11
    assert sizes["m1", "anger"] == 12
    assert {row.n_prompts for row in rows(found, "similarity")} == {35}
    assert all(math.isfinite(row.l2) for row in rows(found, "strength"))


def test_a_prompt_that_is_left_out_is_left_out_of_the_controls_too() -> None:
    unit = make_unit()
    controls = Controls(contextless=unit.sites, shuffled=(unit.sites,))
    broken = dataclasses.replace(with_nan(unit, 3), controls=controls)
    (kept,), _ = finite_units([broken], leave_out=True)
    assert kept.controls is not None
    assert kept.controls.contextless is not None
    for pooled in (kept.controls.contextless, *kept.controls.shuffled):
        np.testing.assert_array_equal(
            pooled["resid_pre"], np.delete(unit.sites["resid_pre"], 3, axis=0)
        )


def test_prompt_without_content_is_not_called_broken() -> None:
    unit = with_nan(make_unit(), 3)
    prompts = list(unit.prompts)
    prompts[3] = dataclasses.replace(prompts[3], n_tokens=0)
    bare = dataclasses.replace(unit, prompts=tuple(prompts))
    with pytest.raises(RequestError, match=r"m0/anger: no content position .*anger-3 \(1 of 12\)"):
        finite_units([bare])
    with pytest.raises(
        RequestError, match=r"anger-5 \(1 of 12\); no content .*anger-3 \(1 of 12\)"
    ):
        finite_units([with_nan(bare, 5)])


def test_unit_of_nothing_but_nan_cannot_be_left_out_silently() -> None:
    units = make_grid({"m0": {}})
    units[0] = dataclasses.replace(
        units[0], sites={s: np.full_like(v, np.nan) for s, v in units[0].sites.items()}
    )
    with pytest.raises(RequestError, match="no prompt of m0/gratitude"):
        analyse_grid(units, dataclasses.replace(FAST, leave_out_nonfinite=True))


def test_mixture_is_refused_and_badged_when_allowed() -> None:
    units = make_grid()
    units[0] = dataclasses.replace(
        units[0], configuration=dataclasses.replace(units[0].configuration, bos="none")
    )
    with pytest.raises(RequestError, match="bos differs"):
        analyse_grid(units, FAST)
    found = analyse_grid(units, dataclasses.replace(PLAIN, allow_mixed=True))
    assert [difference.field for difference in found.differences] == ["bos"]


def test_missing_site_is_refused_with_the_unit() -> None:
    units = [*make_grid({"m0": {}}), *make_grid({"m1": {"sites": ("resid_pre",)}})]
    with pytest.raises(RequestError, match="m1/gratitude has no mlp_out; site differs"):
        analyse_grid(units, FAST)


def test_pooling_must_be_the_one_that_was_done() -> None:
    with pytest.raises(RequestError, match="pooling is 'last' in the settings but 'mean_content'"):
        analyse_grid(make_grid(), dataclasses.replace(FAST, pooling="last"))


def test_products_of_more_pairs_of_prompts_than_fit_in_memory_are_refused() -> None:
    with pytest.raises(RequestError, match="would hold"):
        centred_gram(np.zeros((30_000, 1, 1), dtype=np.float32))


def test_a_unit_given_twice_and_units_of_two_shapes_are_refused() -> None:
    with pytest.raises(RequestError, match="m0/anger was given twice"):
        join_units([make_unit(), make_unit()])
    with pytest.raises(RequestError, match="not of one model"):
        join_units([make_unit(), make_unit(emotion="neutral", d_model=11)])


def test_models_without_a_common_prompt_are_analysed_apart() -> None:
    units = make_grid()
    for index in range(3, 6):
        prompts = tuple(dataclasses.replace(p, id=f"x{p.id}") for p in units[index].prompts)
        units[index] = dataclasses.replace(units[index], prompts=prompts)
    found = analyse_grid(units, PLAIN)
    assert rows(found, "across") == []
    assert "models_not_compared" in {finding.code for finding in found.findings}
    joy = join_units([make_unit("m1", "joy"), make_unit("m1", "neutral")])
    with pytest.raises(RequestError, match="m0 and m1 share prompts of neutral alone"):
        common_rows(join_units(make_grid({"m0": {}})), joy)


def test_prompts_of_one_id_and_different_texts_are_not_compared() -> None:
    units = make_grid()
    for index in range(3, 6):
        prompts = [dataclasses.replace(p) for p in units[index].prompts]
        prompts[:4] = [dataclasses.replace(p, text="another sentence") for p in prompts[:4]]
        prompts[4] = dataclasses.replace(prompts[4], text="")
        units[index] = dataclasses.replace(units[index], prompts=tuple(prompts))
    found = analyse_grid(units, PLAIN)
    assert {row.n_prompts for row in rows(found, "similarity")} == {36 - 12}
    (finding,) = (finding for finding in found.findings if finding.code == "prompts_differ")
    assert finding.message.startswith("12 prompts go by the same id")


def test_zero_direction_is_a_finding_and_not_a_crash() -> None:
    units = make_grid({"m0": {"sites": ("resid_pre",)}})
    for index, unit in enumerate(units):
        pooled = unit.sites["resid_pre"].copy()
        pooled[:, 0] = units[0].sites["resid_pre"][0, 0]
        configuration = dataclasses.replace(unit.configuration, pooling="last")
        units[index] = dataclasses.replace(
            unit, sites={"resid_pre": pooled}, configuration=configuration
        )
    settings = dataclasses.replace(FAST, sites=("resid_pre",), pooling="last")
    found = analyse_grid(units, settings)
    codes = [finding.code for finding in found.findings]
    assert codes.count("zero_direction") == 2
    assert "lexical_layer" in codes
    first = [row for row in rows(found, "distances") if row.layer == 0]
    assert all(math.isnan(row.cosine) and math.isnan(row.cv_cosine) for row in first)
    assert all(row.accuracy == 0.5 for row in rows(found, "probes") if row.layer == 0)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(3, 3, [0, 1, 2]), (3, 5, [0, 2, 4]), (1, 4, [0])]
)
def test_layers_match_by_depth(first: int, second: int, expected: list[int]) -> None:
    assert matched_layers(first, second).tolist() == expected


def unit_of_file(**metadata: Any) -> Unit:
    rng, lengths = np.random.default_rng(0), (4, 6)
    layer = Samples([rng.normal(size=(n, 3)).astype(np.float32) for n in lengths])
    return Unit(
        path=Path("activations/gpt2/activations_anger.pkl"),
        by_site={"resid_pre": (layer, layer)},
        tokens=tuple(np.zeros(n, dtype=np.int64) for n in lengths),
        token_strings=tuple(("a",) * n for n in lengths),
        labels=("anger", "anger"),
        metadata={
            "model_name": "gpt2",
            "emotion_label": "anger",
            "n_layers": 2,
            "d_model": 3,
            **metadata,
        },
    )


def test_features_of_a_unit_carry_its_prompts_and_provenance() -> None:
    unit = unit_of_file(
        prompts=[
            {"id": "a1", "scenario_id": 7, "subset": "implicit", "text": "Hi there."},
            {"text": "Only a text."},
        ],
        provenance={"processing": "raw", "random_weights": True},
    )
    found = features_of(unit, sites=("resid_pre",), model="gpt2-folder")
    assert found.name == "gpt2-folder/anger"
    assert found.prompts[0] == PromptInfo(
        id="a1", scenario_id="7", subset="implicit", text="Hi there.", n_tokens=3
    )
    assert (found.prompts[1].id, found.prompts[1].scenario_id) == ("1", None)
    assert found.configuration.processing == "raw"
    assert found.random_weights
    assert found.sites["resid_pre"].shape == (2, 2, 3)


def test_features_of_a_stranger_s_file_have_no_configuration() -> None:
    found = features_of(unit_of_file(), sites=("resid_pre",), pooling="last")
    bos = "unknown, content from position 1"
    assert found.configuration == Configuration(model="gpt2", pooling="last", bos=bos)
    assert [prompt.id for prompt in found.prompts] == ["0", "1"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_permutations", 999),
        ("n_folds", 1),
        ("alpha", 1.0),
        ("alpha", 0.0),
        ("alpha", math.nan),
        ("seed", -1),
        ("pooling", "first"),
        ("sites", ()),
        ("sites", ("pattern",)),
        ("probes", ("svm",)),
        ("neutral_variance", 2.0),
        ("reference", "none"),
    ],
)
def test_settings_are_checked_when_built(field: str, value: Any) -> None:
    with pytest.raises((RequestError, TypeError), match=field):
        AnalysisSettings(**{field: value})


def test_settings_survive_json() -> None:
    settings = dataclasses.replace(FAST, probes=("lda",), sites=("mlp_out",))
    assert decode(AnalysisSettings, encode(settings)) == settings
    with pytest.raises(RequestError, match="speed: this field is unknown"):
        decode(AnalysisSettings, {"speed": 3})


def test_length_that_the_direction_follows_is_told() -> None:
    units = []
    for unit in make_grid({"m0": {"sites": ("resid_pre",)}}, ("anger", "neutral")):
        lengths = np.array([prompt.n_tokens for prompt in unit.prompts])
        if unit.emotion == "anger":
            lengths = lengths + 4
        prompts = tuple(
            dataclasses.replace(prompt, n_tokens=int(length))
            for prompt, length in zip(unit.prompts, lengths, strict=True)
        )
        pooled = unit.sites["resid_pre"].copy()
        pooled[:, 2] += 20 * lengths[:, None]
        units.append(dataclasses.replace(unit, prompts=prompts, sites={"resid_pre": pooled}))
    found = analyse_grid(units, PLAIN)
    by_layer = {row.layer: row.length_corr for row in rows(found, "strength")}
    assert by_layer[2] > 0.9
    assert abs(by_layer[0]) < 0.7


def test_twin_is_judged_cross_validated_where_it_can_be() -> None:
    units = make_grid({"m0": {"sites": ("resid_pre",), "n": 60}})
    for index, unit in enumerate(units):
        pooled = unit.sites["resid_pre"].copy()
        pooled[..., 9] *= 12
        units[index] = dataclasses.replace(unit, sites={"resid_pre": pooled})
    pairs = rows(analyse_grid(units, dataclasses.replace(FAST, sites=("resid_pre",))), "distances")
    plain_and_careful_disagree = 0
    for row in pairs:
        both = math.isfinite(row.cv_cosine) and math.isfinite(row.cv_zscored)
        plain = abs(row.cosine - row.zscored) > 0.2
        careful = abs(row.cv_cosine - row.cv_zscored) > 0.2 if both else plain
        assert row.twin_differs == careful
        plain_and_careful_disagree += int(plain != careful)
    assert plain_and_careful_disagree > 0
