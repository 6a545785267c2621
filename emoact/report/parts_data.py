"""The data set and its audit."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from emoact.numbers import significant
from emoact.report.document import Block, Bullets, Code, Paragraph, Section, Strong, Text, table
from emoact.report.material import Material
from emoact.report.words import Words
from emoact.stats.audit.outcome import AuditReport, Check, Test


def data(material: Material, words: Words) -> tuple[Section, ...]:
    """Counts of prompts, and the audit of each data set."""
    return (_counts(material, words), *_audits(material, words))


def _counts(material: Material, words: Words) -> Section:
    first = material.folders[0]
    by_emotion = {
        emotion: max(unit.n_samples for unit in material.units if unit.emotion == emotion)
        for emotion in material.emotions
    }
    items = [
        words("data.total", total=sum(by_emotion.values())),
        *(
            words("data.emotion", emotion=words.emotion(emotion), count=count)
            for emotion, count in by_emotion.items()
        ),
    ]
    blocks: list[Block] = [Bullets(items=tuple(items))]
    rows = _subsets(material, first)
    if rows:
        names = list(dict.fromkeys(name for counts in rows.values() for name in counts))
        blocks.append(
            table(
                [words.plain("column.emotion"), *names],
                [
                    [words.emotion(emotion), *(str(counts[name]) for name in names)]
                    for emotion, counts in rows.items()
                ],
                numeric=range(1, len(names) + 1),
                caption=words("data.subsets"),
            )
        )
    for source, sha256 in _sources(material):
        blocks.append(
            Paragraph(text=words("data.source", source=(Code(source),), sha256=(Code(sha256),)))
        )
    return Section(name="data", title=words("data.title"), blocks=tuple(blocks))


def _subsets(material: Material, folder: str) -> dict[str, Counter[str]]:
    """Prompts of each subset by emotion; empty where no prompt is of one."""
    counts: dict[str, Counter[str]] = {}
    for unit in material.of(folder):
        named = [str(prompt.get("subset") or "–") for prompt in unit.prompts or ()]
        counts[unit.emotion] = Counter(named)
    known = {name for counter in counts.values() for name in counter}
    return counts if known - {"–"} else {}


def _sources(material: Material) -> list[tuple[str, str]]:
    found: dict[tuple[str, str], None] = {}
    for unit in material.units:
        stated: Any = unit.provenance.get("dataset")
        if isinstance(stated, Mapping):
            found[shown_path(str(stated.get("source"))), str(stated.get("sha256"))] = None
    return list(found)


def shown_path(path: str) -> str:
    """A path as it was typed; of an absolute one the name, which is all that others can use."""
    return PurePath(path).name if os.path.isabs(path) else path  # noqa: PTH117  no file is asked


def _audits(material: Material, words: Words) -> list[Section]:
    found = []
    for number, audit in enumerate(material.audits, start=1):
        title = words("audit.title")
        if len(material.audits) > 1:
            title = (*title, f" ({shown_path(audit.source) or number})")
        found.append(
            Section(
                name=f"audit-{number}", title=title, level=3, blocks=tuple(_audit(audit, words))
            )
        )
    return found


def _audit(audit: AuditReport, words: Words) -> list[Block]:
    bad = [check for check in audit.checks if check.outcome in ("warning", "error")]
    lexis = next((check for check in audit.checks if check.aspect == "lexis"), None)
    key = "audit.bad" if bad else "audit.ok"
    answer = words(key, aspects=words.joined([_title(check, words) for check in bad]))
    if lexis is not None and lexis.tests[0].chance is not None:
        answer += words(
            "audit.words",
            accuracy=significant(lexis.tests[0].value, 2),
            chance=significant(lexis.tests[0].chance, 2),
        )
    head = ["aspect", "verdict", "eta", "p", "accuracy", "chance", "p"]
    blocks: list[Block] = [
        Paragraph(text=answer),
        table(
            [words.plain(f"column.{name}") for name in head],
            [_audit_row(check, words) for check in audit.checks if check.aspect != "power"],
            numeric=(2, 3, 4, 5, 6),
            caption=words(
                "audit.caption",
                permutations=audit.permutations,
                seed=str(audit.seed),
                scheme=words.either(f"scheme.{audit.scheme}", audit.scheme),
            ),
        ),
    ]
    remedies = [
        (
            Strong(_title(check, words)),
            words.plain("findings.colon"),
            *words.either(f"remedy.{check.aspect}", check.remedy),
        )
        for check in bad
        if check.remedy
    ]
    if remedies:
        blocks.append(Bullets(items=tuple(remedies)))
    return blocks


def _audit_row(check: Check, words: Words) -> list[str | Text]:
    association = next((test for test in check.tests if test.kind == "association"), None)
    classifier = next((test for test in check.tests if test.kind == "classifier"), None)
    return [
        _title(check, words),
        words.plain(f"outcome.{check.outcome}"),
        _figure(association, "value"),
        _p(association),
        _figure(classifier, "value"),
        _figure(classifier, "chance"),
        _p(classifier),
    ]


def _figure(test: Test | None, field: str) -> str:
    value = None if test is None else getattr(test, field)
    return "–" if value is None else f"{value:.2f}"


def _p(test: Test | None) -> str:
    """Corrected where it can accuse."""
    if test is None:
        return "–"
    return f"{test.p if test.p_adjusted is None else test.p_adjusted:.3f}"


def _title(check: Check, words: Words) -> str:
    if not words.has(f"aspect.{check.aspect}"):
        return check.title
    name = words.plain(f"aspect.{check.aspect}")
    if check.where == "dataset":
        return name
    return words.plain("aspect.in", aspect=name, part=check.where)
