"""The data set and its audit."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import PurePath

from emoact.numbers import MISSING, significant, two
from emoact.report.document import Block, Marked, Section, Table, bullets, code
from emoact.report.material import Material
from emoact.report.words import Words
from emoact.stats.audit.outcome import AuditReport, Check, Test


def data(material: Material, words: Words) -> tuple[Section, ...]:
    """Counts of prompts, and the audit of each data set."""
    audits = [
        words.section(
            f"audit-{number}",
            _audit(audit, words),
            level=3,
            title=words("audit.title")
            + (
                f" ({shown_path(audit.dataset['source']) or number})"
                if len(material.audits) > 1
                else ""
            ),
        )
        for number, audit in enumerate(material.audits, start=1)
    ]
    return (_counts(material, words), *audits)


def _counts(material: Material, words: Words) -> Section:
    by_emotion = {
        emotion: max(unit.n_samples for unit in material.units if unit.emotion == emotion)
        for emotion in material.emotions
    }
    items = [
        words("data.emotion", emotion=words.emotion(emotion), count=count)
        for emotion, count in by_emotion.items()
    ]
    total = words("data.total", total=sum(by_emotion.values()))
    blocks: list[Block] = [bullets([total, *items])]
    rows = _subsets(material, material.folders[0])
    if rows:
        names = list(dict.fromkeys(name for counts in rows.values() for name in counts))
        blocks.append(
            Table(
                head=[words.plain("column.emotion"), *names],
                rows=[
                    [words.emotion(emotion), *(str(counts[name]) for name in names)]
                    for emotion, counts in rows.items()
                ],
                numeric=range(1, len(names) + 1),
                caption=words("data.subsets"),
            )
        )
    sources = dict.fromkeys(
        (shown_path(str(unit.stated("dataset", "source"))), str(unit.stated("dataset", "sha256")))
        for unit in material.units
        if unit.stated("dataset")
    )
    for source, sha256 in sources:
        blocks.append(words("data.source", source=code(source), sha256=code(sha256)))
    return words.section("data", blocks)


def _subsets(material: Material, folder: str) -> dict[str, Counter[str]]:
    """Prompts of each subset by emotion; empty where no prompt is of one."""
    counts: dict[str, Counter[str]] = {}
    for unit in material.of(folder):
        named = [str(prompt.get("subset") or MISSING) for prompt in unit.prompts or ()]
        counts[unit.emotion] = Counter(named)
    known = {name for counter in counts.values() for name in counter}
    return counts if known - {MISSING} else {}


def shown_path(path: str) -> str:
    """A path as it was typed; of an absolute one the name, which is all that others can use."""
    return PurePath(path).name if os.path.isabs(path) else path  # noqa: PTH117  no file is asked


def _audit(audit: AuditReport, words: Words) -> list[Block]:
    relabelling = str(audit.settings["relabelling"])
    bad = [check for check in audit.checks if check.outcome in ("warning", "error")]
    lexis = next((check for check in audit.checks if check.aspect == "lexis"), None)
    key = "audit.bad" if bad else "audit.ok"
    answer = words(key, aspects=words.joined([_title(check, words) for check in bad]))
    if lexis is not None and lexis.tests[0].chance is not None:
        accuracy, chance = (
            significant(n, 2) for n in (lexis.tests[0].value, lexis.tests[0].chance)
        )
        p = _p(lexis.tests[0])
        answer = Marked(answer + words("audit.words", accuracy=accuracy, chance=chance, p=p))
    table = words.table(
        ["aspect", "verdict", "eta", "p", "accuracy", "chance", "p"],
        [_audit_row(check, words) for check in audit.checks if check.aspect != "power"],
        numeric=range(2, 7),
        caption=words(
            "audit.caption",
            permutations=audit.settings["permutations"],
            seed=str(audit.settings["seed"]),
            scheme=words.either(f"scheme.{relabelling}", relabelling),
        ),
    )
    remedies = [
        words(
            "audit.remedy",
            aspect=_title(check, words),
            remedy=words.either(f"remedy.{check.aspect}", check.remedy),
        )
        for check in bad
        if check.remedy
    ]
    return [answer, table, bullets(remedies)]


def _audit_row(check: Check, words: Words) -> list[str]:
    association = next((test for test in check.tests if test.kind == "association"), None)
    classifier = next((test for test in check.tests if test.kind == "classifier"), None)
    return [
        _title(check, words),
        words.plain(f"outcome.{check.outcome}"),
        two(None if association is None else association.value),
        _p(association),
        two(None if classifier is None else classifier.value),
        two(None if classifier is None else classifier.chance),
        _p(classifier),
    ]


def _p(test: Test | None) -> str:
    """Corrected p of a test that enters the verdict, else the p itself."""
    if test is None:
        return MISSING
    return f"{test.p if test.p_adjusted is None else test.p_adjusted:.3f}"


def _title(check: Check, words: Words) -> str:
    if not words.has(f"aspect.{check.aspect}"):
        return check.title
    name = words.plain(f"aspect.{check.aspect}")
    if check.where == "dataset":
        return name
    return words.plain("aspect.in", aspect=name, part=check.where)
