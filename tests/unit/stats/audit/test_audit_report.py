import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from emoact.data import read_prompts
from emoact.decode import decode
from emoact.errors import CancelledError, RequestError
from emoact.schema import Dataset, Prompt
from emoact.stats.audit import AuditReport, Check, Test, audit_dataset
from emoact.stats.audit.command import audit_in_child, lines_of, run
from scripts.calibrate_audit import fair_dataset
from tests.support.loaded import loaded

ROOT = Path(__file__).resolve().parents[4]


def dataset_of(*rows: tuple[str, str]) -> Dataset:
    prompts = tuple(
        Prompt(id=f"p{index}", text=text, emotion=emotion)
        for index, (emotion, text) in enumerate(rows)
    )
    return Dataset(source="x.csv", sha256="0" * 64, prompts=prompts)


@pytest.fixture(scope="module")
def confounded() -> AuditReport:
    dataset = fair_dataset(0)
    prompts = [
        dataclasses.replace(prompt, text=prompt.text + "!!")
        if "a" in prompt.emotion[:1]
        else prompt
        for prompt in dataset.prompts
    ]
    prompts[5] = dataclasses.replace(prompts[5], text=prompts[4].text)
    return audit_dataset(dataclasses.replace(dataset, prompts=tuple(prompts)), seed=7)


def test_the_same_seed_gives_the_same_report() -> None:
    fair = fair_dataset(5)
    one, same, other = (audit_dataset(fair, seed=seed, permutations=400) for seed in (3, 3, 4))
    assert one.to_json() == same.to_json()
    assert one.to_json() != other.to_json()


def test_the_json_document_says_ok_findings_checks_and_settings(confounded: AuditReport) -> None:
    document = json.loads(json.dumps(confounded.to_json(), allow_nan=False))
    assert document["ok"] is False
    assert document["dataset"]["emotions"] == dict.fromkeys(
        ("gratitude", "anger", "apology", "neutral"), 50
    )
    assert document["dataset"]["scenarios"] == 50
    assert document["settings"]["seed"] == 7
    assert document["settings"]["permutations"] == 1000
    assert document["settings"]["relabelling"] == "within scenario"
    punctuation = next(one for one in document["checks"] if one["aspect"] == "punctuation")
    assert punctuation["outcome"] == "warning"
    assert punctuation["tests"][0]["p_adjusted"] <= 0.05
    assert set(punctuation["by_emotion"]["anger"]) >= {"'!'"}
    assert document["findings"][0] == {
        "code": "duplicates",
        "severity": "error",
        "where": "dataset",
        "message": next(c["verdict"] for c in document["checks"] if c["aspect"] == "duplicates"),
        "remedy": next(c["remedy"] for c in document["checks"] if c["aspect"] == "duplicates"),
    }
    order = [finding["severity"] for finding in document["findings"]]
    assert order == sorted(order, key=("error", "warning", "note").index)


def test_holm_corrects_over_all_tests_of_confounds(confounded: AuditReport) -> None:
    tests = [
        test for check in confounded.checks for test in check.tests if test.p_adjusted is not None
    ]
    ordered = sorted(tests, key=lambda test: test.p)
    reached = 0.0
    for rank, test in enumerate(ordered):
        reached = max(reached, min(1.0, (len(ordered) - rank) * test.p))
        assert test.p_adjusted == pytest.approx(reached)
    assert len(tests) >= 12


def test_the_text_for_a_terminal_names_every_aspect_and_fits_its_width(
    confounded: AuditReport,
) -> None:
    lines = lines_of(confounded)
    text = "\n".join(lines)
    for check in confounded.checks:
        assert check.title in text
    assert "WARNING  Punctuation separates the emotions" in text
    assert "ERROR    Duplicates: " in text
    assert "-> Close all versions of a scenario with the same mark" in text
    assert max(map(len, lines[1:])) <= 96
    assert lines[-1].startswith("2 of ")
    assert lines_of(audit_dataset(fair_dataset(5)))[-1] == "No confound is shown."


def test_a_path_is_read_and_audited(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    rows = [{"text": p.text, "emotion": p.emotion} for p in fair_dataset(6).prompts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    steps: list[str] = []
    report = run(path, seed=1, permutations=400, on_step=steps.append)
    assert report.dataset["source"] == str(path)
    assert report.settings["permutations"] == 400
    assert report.settings["relabelling"] == "over all prompts"
    assert steps[:2] == ["counts", "duplicates"]
    assert "persons" in steps
    with pytest.raises(RequestError, match="no such file"):
        run(tmp_path / "gone.csv")


def test_an_audit_can_be_cancelled_between_steps() -> None:
    def cancel(step: str) -> None:
        if step == "capitals":
            raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        audit_dataset(fair_dataset(0), on_step=cancel)


def test_a_single_emotion_is_an_error_and_nothing_is_tested() -> None:
    report = audit_dataset(dataset_of(("joy", "One."), ("joy", "Two words.")))
    assert [(f.code, f.severity) for f in report.findings] == [("counts", "error")]
    assert all(not check.tests for check in report.checks)


def test_too_few_prompts_to_test_are_said_to_be() -> None:
    rows = [("joy", "One bird sang."), ("joy", "We won it!"), ("anger", "No."), ("anger", "Stop")]
    report = audit_dataset(dataset_of(*rows))
    power = next(check for check in report.checks if check.aspect == "power")
    assert power.outcome == "note"
    assert "only 6 arrangements" in power.verdict
    assert report.ok


def test_very_unequal_counts_are_a_warning_and_unequal_ones_a_note() -> None:
    words = [f"word{n} other{n} third{n} fourth{n}." for n in range(200)]
    some = [("joy", text) for text in words[:40]]
    for end, outcome in ((53, "warning"), (70, "note"), (75, "ok")):
        report = audit_dataset(dataset_of(*some, *(("fear", text) for text in words[40:end])))
        assert next(c.outcome for c in report.checks if c.aspect == "counts") == outcome


def test_of_a_large_data_set_a_sample_of_whole_scenarios_is_tested() -> None:
    prompts = [
        Prompt(
            id=f"p{n}",
            text=f"Sentence number {n} speaks of thing {n * 7 % 1000} and place {n * 13 % 900}.",
            emotion="joy" if n % 2 else "fear",
            scenario_id=f"s{n // 2}",
        )
        for n in range(5_000)
    ]
    report = audit_dataset(
        Dataset(source="x", sha256="0" * 64, prompts=tuple(prompts)), permutations=400
    )
    assert report.settings["prompts_tested"] == 2_000
    assert report.settings["relabelling"] == "within scenario"
    power = next(check for check in report.checks if check.aspect == "power")
    assert "2,000 of 5,000 prompts" in power.verdict


@pytest.mark.parametrize("text", ["...", "ありがとう。", "\U0001f600", "42", "I", "a\nb"])
def test_texts_without_words_of_their_own_are_audited(text: str) -> None:
    rows = [("joy" if n % 2 else "fear", text + " x" * n) for n in range(20)]
    report = audit_dataset(dataset_of(*rows), permutations=400)
    assert {check.aspect for check in report.checks} >= {"length", "punctuation", "scenarios"}
    assert json.dumps(report.to_json(), allow_nan=False)


def test_arguments_out_of_range_are_refused() -> None:
    dataset = fair_dataset(0)
    with pytest.raises(RequestError, match="99 permutations; at least 400"):
        audit_dataset(dataset, permutations=99)
    with pytest.raises(RequestError, match="3 token counts for 200 prompts"):
        audit_dataset(dataset, token_counts=np.ones(3, dtype=np.int64))


def test_a_p_value_of_zero_cannot_be_reported() -> None:
    with pytest.raises(ValueError, match="p is 0"):
        Test(kind="classifier", value=0.5, p=0.0)


def test_a_note_leaves_a_report_ok(confounded: AuditReport) -> None:
    note = Check(aspect="lexis", title="Words", outcome="note", verdict="Words differ.")
    assert dataclasses.replace(confounded, checks=(note,)).ok
    assert not dataclasses.replace(
        confounded, checks=(dataclasses.replace(note, outcome="warning"),)
    ).ok


def test_neither_torch_nor_scikit_learn_is_imported_by_an_audit() -> None:
    code = (
        "import sys, emoact.stats.audit.command as c; assert 'threadpoolctl' not in sys.modules;"
        "c.run('data/prompts.jsonl', permutations=400)"
    )
    assert not loaded(code) & {"torch", "sklearn", "scipy", "transformers"}


def test_a_child_says_the_same_as_an_audit_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    here = audit_dataset(read_prompts("data/prompts.jsonl"))
    there = audit_in_child("data/prompts.jsonl")
    assert there.to_json() == here.to_json()
    assert decode(AuditReport, here.to_json(), ignore_unknown=True) == here


def test_a_child_refuses_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such file"):
        audit_in_child(tmp_path / "none.csv")
