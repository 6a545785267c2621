"""Audit of the Prompts page: answer in sentences, and a table of all aspects."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from emoact import numbers
from emoact.schema import Dataset
from emoact.stats.audit.outcome import AuditReport, Check, Test
from emoact.ui.boxes import answer, error_box
from emoact.ui.chart import is_narrow
from emoact.ui.prompt_data import audit_of, version_of
from emoact.views.text import listed, md, mono

AUTOMATIC = 1000
"""Most prompts that are audited without a click; their audit takes three seconds."""

_ASKED = "audits-asked"
_WORST = ("error", "warning", "note", "ok")
_OUTCOMES = {"ok": "ok", "note": "note", "warning": "confound", "error": "error"}


def say(path: str, dataset: Dataset, said: DeltaGenerator) -> AuditReport | None:
    """Complete the answer of the page, and return its audit or None; large ones need a click."""
    asked = (path, version_of(path)) in st.session_state.get(_ASKED, set())
    if len(dataset.prompts) > AUTOMATIC and not asked:
        if st.button(
            f"Audit {numbers.plural(len(dataset.prompts), 'prompt')}",
            type="primary",
            icon=":material/troubleshoot:",
            help="Tests for confounds of the emotion; takes about ten seconds.",
        ):
            st.session_state.setdefault(_ASKED, set()).add((path, version_of(path)))
            st.rerun()
        return None
    audited = audit_of(path)
    report = audited.value
    found = [verdict_sentence(report), lexis_sentence(report)] if report is not None else []
    with said:
        answer(shape_sentence(dataset), *found)
    if audited.error is not None:
        error_box(audited.error, title="The audit failed")
    return report


def shape_sentence(dataset: Dataset) -> str:
    """Number of prompts, scenarios and emotions."""
    emotions = len(dataset.emotions)
    scenarios = len({prompt.scenario_id for prompt in dataset.prompts} - {None})
    parts = f"**{numbers.plural(len(dataset.prompts), 'prompt')}**"
    if scenarios:
        return (
            f"{parts}, {numbers.plural(scenarios, 'scenario')} × "
            f"{numbers.plural(emotions, 'emotion')}."
        )
    return f"{parts} of {numbers.plural(emotions, 'emotion')}, without scenarios."


def verdict_sentence(report: AuditReport) -> str:
    """Confounds of the data set, in one sentence."""
    bad = [check for check in report.checks if check.outcome in ("warning", "error")]
    if bad:
        names = listed([f"**{md(check.title.lower())}**" for check in bad])
        return f"A direction can stand for a confound instead of the emotion: {names}."
    blind = any(check.aspect == "power" and check.outcome == "note" for check in report.checks)
    if blind:
        return "No confound is shown, but the data set is too small for any test to find one."
    lexis = [check for check in report.checks if check.aspect == "lexis"]
    told = [check.where for check in lexis if check.outcome == "note"]
    if told:
        whose = "the prompts" if "dataset" in told else f"{listed(list(map(md, told)))} prompts"
        return f"No confound is shown; the words of {whose} predict the emotion."
    return "No confound is shown, and not that the words of the prompts predict the emotion."


def lexis_sentence(report: AuditReport) -> str:
    """Accuracy of a bag of words, in all prompts and in each subset."""
    lexis = {check.where: check.tests[0] for check in report.checks if check.aspect == "lexis"}
    whole = lexis.pop("dataset", None)
    if whole is None or whole.chance is None:
        return ""
    parts = [f"{md(where)} {test.value:.2f} (p = {test.p:.3f})" for where, test in lexis.items()]
    apart = f"; {', '.join(parts)}" if parts else ""
    return (
        f"Bag of words: held-out accuracy {whole.value:.2f} (p = {whole.p:.3f}), chance "
        f"{whole.chance:.2f}{apart}."
    )


def show(report: AuditReport, path: str) -> None:
    """Show verdict, figures and remedy of every aspect; those without a problem are folded."""
    worst = sorted(report.checks, key=lambda check: _WORST.index(check.outcome))
    told = [check for check in worst if check.outcome != "ok"]
    fine = [check for check in worst if check.outcome == "ok"]
    if told:
        _table(told, "Aspects of the data set with a confound or a note")
    if fine:
        title = f"{numbers.plural(len(fine), 'aspect')} without a problem"
        with st.expander(title, icon=":material/check_circle:", expanded=not told):
            _table(fine, "Aspects of the data set without a problem")
    st.caption(f"In a shell: {mono(f'python -m emoact audit --dataset {path}')}")


def _table(checks: Sequence[Check], alt: str) -> None:
    rows = [_row(check) for check in checks]
    if not is_narrow():
        # st.dataframe would cut the sentences off.
        st.table(rows, hide_index=True, border="horizontal", alt=alt)
        return
    for row in rows:
        known = (name for name in ("accuracy", "chance", "p") if row[name] != numbers.MISSING)
        figures = ", ".join(f"{name} {row[name]}" for name in known)
        st.markdown(f"**{row['aspect']}**: {row['verdict']} ({figures})")
        st.caption(row["what was found"])


def explain() -> None:
    """Show the explanation of the audit."""
    with st.expander("What am I looking at", icon=":material/help:"):
        st.markdown(
            "A direction between two classes stands for every difference between their prompts. "
            "The audit tests for differences other than the emotion.\n\n"
            "- **Association**: of all features of an aspect (number of words, share of prompts "
            "that end in “!” …) the largest correlation ratio with the emotion, against "
            "permuted labels.\n"
            "- **Classifier**: nearest class mean of this aspect only, trained on four "
            "fifths of the scenarios and tested on the rest; *chance* is its accuracy with "
            "permuted labels.\n"
            "- **Register** (numbers, negation, connectives, evaluation, mood, tenses, persons) "
            "is counted with English word lists, **single words** in any language; both by "
            "association alone.\n"
            "- Accuracy and chance are those of the classifier, p the smaller of both after Holm.\n"
            "- p = (1 + #{null ≥ observed}) / (1 + 1,000); labels are permuted within scenarios, "
            "and Holm's correction keeps the probability of a false warning at 5 %.\n"
            "- **Words** are a baseline and no confound. They are reported for each subset: only a "
            "probe with a higher held-out accuracy shows more than words.\n\n"
            "`docs/audit.md` has the details and the calibration on 200 fair data sets."
        )


def _row(check: Check) -> dict[str, str]:
    classifier = next((test for test in check.tests if test.kind == "classifier"), None)
    smallest = min(check.tests, key=_corrected, default=None)
    remedy = f" **Remedy:** {md(check.remedy)}" if check.outcome != "ok" else ""
    if check.outcome in ("warning", "error") and check.examples:
        remedy = f" Examples: {', '.join(map(mono, check.examples[:5]))}.{remedy}"
    return {
        "aspect": md(check.title),
        "verdict": _OUTCOMES[check.outcome],
        "accuracy": numbers.two(None if classifier is None else classifier.value),
        "chance": numbers.two(None if classifier is None else classifier.chance),
        "p": numbers.MISSING if smallest is None else f"{_corrected(smallest):.3f}",
        "what was found": f"{md(check.verdict)}{remedy}",
    }


def _corrected(test: Test) -> float:
    return test.p if test.p_adjusted is None else test.p_adjusted
