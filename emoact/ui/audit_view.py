"""What an audit says of the prompts: the answer in a sentence, and every aspect in a table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.schema import Dataset
from emoact.stats.audit.outcome import AuditReport, Check, Test
from emoact.ui.boxes import answer, error_box
from emoact.ui.prompt_data import Audited, audit_of, version_of
from emoact.views.text import listed, md, mono

AUTOMATIC = 1000
"""Up to so many prompts an audit takes three seconds; more of them are audited on request."""

_ASKED = "audits-asked"
_OUTCOMES = {"ok": "in order", "note": "note", "warning": "confound", "error": "error"}


def say(path: str, dataset: Dataset) -> AuditReport | None:
    """The answer of the page; the audit that it rests on, when there is one."""
    audited = _audited(path, dataset)
    if audited is None:
        answer(shape_sentence(dataset))
        if st.button(
            f"Audit {numbers.plural(len(dataset.prompts), 'prompt')}",
            type="primary",
            icon=":material/troubleshoot:",
            help="What else than the emotion tells the classes apart; about ten seconds.",
        ):
            st.session_state.setdefault(_ASKED, set()).add((path, version_of(path)))
            st.rerun()
        return None
    if audited.report is None:
        answer(shape_sentence(dataset))
        if audited.error is not None:
            error_box(audited.error, title="The audit failed")
        return None
    answer(
        shape_sentence(dataset), verdict_sentence(audited.report), lexis_sentence(audited.report)
    )
    return audited.report


def shape_sentence(dataset: Dataset) -> str:
    """How many prompts of how many scenarios and emotions."""
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
    """What gives the class away beside words."""
    bad = [check for check in report.checks if check.outcome in ("warning", "error")]
    if bad:
        names = listed([f"**{md(check.title.lower())}**" for check in bad])
        return f"A direction could stand for something else than the emotion: {names}."
    blind = any(check.aspect == "power" and check.outcome == "note" for check in report.checks)
    if blind:
        return "Nothing was found, and with so few prompts nothing could have been."
    lexis = [check for check in report.checks if check.aspect == "lexis"]
    if any(check.outcome == "note" for check in lexis):
        return "Nothing but the words gives the class away."
    return "Nothing gives the class away, not even the words."


def lexis_sentence(report: AuditReport) -> str:
    """How far words alone give the class away, in all prompts and in each subset."""
    lexis = {check.where: check.tests[0] for check in report.checks if check.aspect == "lexis"}
    whole = lexis.pop("dataset", None)
    if whole is None or whole.chance is None:
        return ""
    parts = [f"{md(where)} {test.value:.2f}" for where, test in lexis.items()]
    apart = f" ({', '.join(parts)})" if parts else ""
    return (
        f"Bag of words: {whole.value:.2f} right{apart} against chance {whole.chance:.2f} "
        f"({_p(whole)})."
    )


def show(report: AuditReport, path: str) -> None:
    """Every aspect: verdict, figures, what would mend it."""
    bad = [check for check in report.checks if check.outcome in ("warning", "error")]
    for check in bad:
        box = st.error if check.outcome == "error" else st.warning
        examples = f" Prompts that show it: {', '.join(map(mono, check.examples[:5]))}."
        box(
            f"{md(check.verdict)}{examples if check.examples else ''}\n\n"
            f"**What would fix it:** {md(check.remedy)}",
            icon=":material/balance:",
            title=check.title,
        )
    # Sentences, which a table of cells would cut off.
    st.table(
        pd.DataFrame([_row(check) for check in report.checks]),
        hide_index=True,
        border="horizontal",
        alt="Audit of the data set, aspect by aspect",
    )
    st.caption(f"In a shell: {mono(f'python -m emoact audit --dataset {path}')}")


def explain() -> None:
    """What the audit does."""
    with st.expander("What am I looking at", icon=":material/help:"):
        st.markdown(
            "A direction between two classes stands for whatever differs between their prompts. "
            "The audit looks for everything but the emotion that does.\n\n"
            "- **Association**: of all features of an aspect (number of words, share of prompts "
            "that end in “!” …) the largest correlation ratio with the emotion, against "
            "permuted labels.\n"
            "- **Classifier**: nearest class mean that sees this aspect only, trained on four "
            "fifths of the scenarios and tested on the rest; *chance* is its accuracy with "
            "permuted labels.\n"
            "- Accuracy and chance are those of the classifier, p the smaller of both after Holm.\n"
            "- p = (1 + #{null ≥ observed}) / (1 + 1,000); labels are permuted within scenarios, "
            "and Holm's correction keeps the chance of accusing a fair data set at 5 %.\n"
            "- **Words** accuse nobody: they are reported for each subset apart, because a probe "
            "shows more than words only where it does better than they do.\n\n"
            "`docs/audit.md` has the details and the calibration on 200 fair data sets."
        )


def _audited(path: str, dataset: Dataset) -> Audited | None:
    """The audit, unless it would take long and nobody has asked for it."""
    asked = (path, version_of(path)) in st.session_state.get(_ASKED, set())
    if len(dataset.prompts) > AUTOMATIC and not asked:
        return None
    return audit_of(path)


def _row(check: Check) -> dict[str, str]:
    classifier = next((test for test in check.tests if test.kind == "classifier"), None)
    smallest = min(check.tests, key=_corrected, default=None)
    remedy = f" **What helps:** {md(check.remedy)}" if check.outcome == "note" else ""
    return {
        "aspect": md(check.title),
        "verdict": _OUTCOMES[check.outcome],
        "accuracy": _two(None if classifier is None else classifier.value),
        "chance": _two(None if classifier is None else classifier.chance),
        "p": numbers.MISSING if smallest is None else f"{_corrected(smallest):.3f}",
        "what was found": f"{md(check.verdict)}{remedy}",
    }


def _two(value: float | None) -> str:
    return numbers.MISSING if value is None else f"{value:.2f}"


def _corrected(test: Test) -> float:
    return test.p if test.p_adjusted is None else test.p_adjusted


def _p(test: Test) -> str:
    return f"p = {test.p:.3f}"
