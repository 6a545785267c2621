"""Confounds planted in fair data sets are named, and only they."""

import dataclasses
import re
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from emoact.schema import Dataset, Prompt
from emoact.stats.audit import AuditReport, Check, audit_dataset
from scripts.calibrate_audit import fair_dataset

MATCHED, UNMATCHED = 0, 6
"""Seeds whose data sets have 50 whole scenarios, and no scenarios."""


def dataset_of(prompts: Iterable[Prompt]) -> Dataset:
    return Dataset(source="x", sha256="0" * 64, prompts=tuple(prompts))


def planted(seed: int, change: Callable[[Prompt], Prompt]) -> Dataset:
    return dataset_of(map(change, fair_dataset(seed).prompts))


def warned(report: AuditReport) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity != "note"}


def check(report: AuditReport, aspect: str) -> Check:
    return next(one for one in report.checks if one.aspect == aspect)


def of(emotion: str, rewrite: Callable[[str], str]) -> Callable[[Prompt], Prompt]:
    """A change to the texts of one emotion."""

    def change(prompt: Prompt) -> Prompt:
        if prompt.emotion != emotion:
            return prompt
        return dataclasses.replace(prompt, text=rewrite(prompt.text))

    return change


@pytest.mark.parametrize("seed", [MATCHED, UNMATCHED])
def test_the_data_sets_that_confounds_are_planted_in_are_clean(seed: int) -> None:
    report = audit_dataset(fair_dataset(seed))
    assert warned(report) == set()
    assert report.ok


CONFOUNDS = [
    ("anger", lambda text: text.rstrip(".!?") + "!", {"punctuation"}, "'!' at the end: anger 100"),
    ("neutral", lambda text: f"{text[:-1]} {text.lower()}", {"length"}, ": neutral "),
    ("anger", lambda text: text.upper(), {"capitals"}, "words in capitals: anger"),
    ("apology", lambda text: f"Radavo {text.lower()}", {"first_word"}, '"radavo" as first word'),
    ("apology", lambda text: f"{text.rstrip('.!?')} vovoke.", {"last_word"}, '"vovoke" as last'),
]


@pytest.mark.parametrize("seed", [MATCHED, UNMATCHED])
@pytest.mark.parametrize(
    ("emotion", "rewrite", "expected", "words"),
    CONFOUNDS,
    ids=["marks", "length", "capitals", "first word", "last word"],
)
def test_a_planted_confound_is_named_with_its_figures_and_a_remedy(
    seed: int, emotion: str, rewrite: Callable[[str], str], expected: set[str], words: str
) -> None:
    report = audit_dataset(planted(seed, of(emotion, rewrite)))
    assert expected <= warned(report)
    assert not report.ok
    (aspect,) = expected
    found = check(report, aspect)
    assert words in found.verdict
    assert "p = 0.00" in found.verdict
    assert found.remedy
    adjusted = [test.p_adjusted for test in found.tests if test.p_adjusted is not None]
    assert min(adjusted) <= 0.05


def test_an_exclamation_mark_for_every_mark_takes_the_questions_away_and_nothing_else() -> None:
    change = of("anger", lambda text: text.rstrip(".!?") + "!")
    report = audit_dataset(planted(MATCHED, change))
    assert warned(report) == {"punctuation", "mood"}
    classifier = next(t for t in check(report, "punctuation").tests if t.kind == "classifier")
    assert classifier.value > 0.4
    assert classifier.chance == pytest.approx(0.25, abs=0.02)


def test_ten_duplicates_are_counted_and_named() -> None:
    prompts = list(fair_dataset(MATCHED).prompts)
    anger = [row for row, prompt in enumerate(prompts) if prompt.emotion == "anger"]
    for source, target in zip(anger[:10], anger[10:20], strict=True):
        text = prompts[source].text.upper()
        prompts[target] = dataclasses.replace(prompts[target], text=text)
    report = audit_dataset(dataset_of(prompts))
    found = check(report, "duplicates")
    assert found.outcome == "warning"
    assert "10 prompts repeat the words" in found.verdict
    assert f"{prompts[anger[0]].id} = {prompts[anger[10]].id}" in found.verdict


def test_one_text_under_two_emotions_is_an_error() -> None:
    prompts = list(fair_dataset(UNMATCHED).prompts)
    other = next(prompt for prompt in prompts if prompt.emotion != prompts[0].emotion)
    place = prompts.index(other)
    prompts[place] = dataclasses.replace(other, text=prompts[0].text)
    report = audit_dataset(dataset_of(prompts))
    assert report.findings[0].code == "duplicates"
    assert report.findings[0].severity == "error"
    assert "1 text stands under more than one emotion" in report.findings[0].message


def test_near_duplicates_are_found_but_not_between_versions_of_a_scenario() -> None:
    prompts = list(fair_dataset(MATCHED).prompts)
    text = "one two three four five six seven eight nine {}."
    for row in (0, 1):
        prompts[row] = dataclasses.replace(prompts[row], text=text.format("ten" * (row + 1)))
    assert prompts[0].scenario_id == prompts[1].scenario_id
    within = audit_dataset(dataset_of(prompts))
    assert check(within, "near_duplicates").outcome == "ok"
    prompts[4] = dataclasses.replace(prompts[4], text=text.format("eleven"))
    across = check(audit_dataset(dataset_of(prompts)), "near_duplicates")
    assert across.outcome == "warning"
    assert f"{prompts[0].id} ~ {prompts[4].id}" in across.verdict


def test_a_template_is_named_by_its_opening() -> None:
    def template(text: str) -> str:
        words = re.findall(r"\w+", text.lower())
        return f"I am so cross about the {words[0]}{words[1]} that you {words[2]}{words[3]}."

    report = audit_dataset(planted(MATCHED, of("anger", template)))
    found = check(report, "templates")
    assert found.outcome == "warning"
    assert '50 of 50 anger prompts open with "i am so ..."' in found.verdict
    assert {"templates", "first_word", "single_words"} <= warned(report)


def test_topics_of_one_emotion_each_are_named() -> None:
    prompts = [
        dataclasses.replace(prompt, scenario_id=f"{prompt.emotion}-{row % 12}")
        for row, prompt in enumerate(fair_dataset(UNMATCHED).prompts)
    ]
    report = audit_dataset(dataset_of(prompts))
    found = check(report, "scenarios")
    assert found.outcome == "warning"
    assert "No scenario is written in more than one emotion" in found.verdict
    assert report.settings["relabelling"] == "over scenarios"


def test_a_language_or_subset_of_one_emotion_is_named() -> None:
    def change(prompt: Prompt) -> Prompt:
        angry = prompt.emotion == "anger"
        lang, subset = ("de", "x") if angry else ("en", "y")
        return dataclasses.replace(prompt, lang=lang, subset=subset)

    assert {"languages", "subsets"} <= warned(audit_dataset(planted(UNMATCHED, change)))


def test_token_counts_are_compared_where_they_are_given() -> None:
    dataset = fair_dataset(MATCHED)
    rng = np.random.default_rng(0)
    angry = np.array([prompt.emotion == "anger" for prompt in dataset.prompts])
    counts = rng.integers(10, 16, len(angry)) + 3 * angry
    report = audit_dataset(dataset, token_counts=counts.astype(np.int64))
    assert warned(report) == {"length"}
    assert "mean number of tokens: anger 15" in check(report, "length").verdict


def test_lexis_is_a_note_and_reported_for_each_subset() -> None:
    def change(prompt: Prompt) -> Prompt:
        number = int(str(prompt.scenario_id)[1:])
        explicit = number % 2 == 0
        words = prompt.text.split()
        if explicit:
            words[len(words) // 2] = {"anger": "zzfury", "apology": "zzsorry"}.get(
                prompt.emotion, words[len(words) // 2]
            )
        subset = "explicit" if explicit else "implicit"
        return dataclasses.replace(prompt, text=" ".join(words), subset=subset)

    report = audit_dataset(planted(MATCHED, change))
    assert report.ok
    lexis = {one.where: one for one in report.checks if one.aspect == "lexis"}
    assert set(lexis) == {"dataset", "explicit", "implicit"}
    assert lexis["explicit"].outcome == "note"
    assert lexis["explicit"].tests[0].value > 0.5
    assert lexis["implicit"].outcome == "ok"
    words = check(report, "single_words")
    assert words.outcome == "note"
    assert '"zzfury" occurs in 25 of 50 anger prompts and 0 of 50' in words.verdict
    assert all(test.p_adjusted is None for one in lexis.values() for test in one.tests)
