"""First and last parts: date, overview, models; limits and conclusion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from emoact import numbers
from emoact.models.registry import REGISTRY, ModelSpec
from emoact.report.document import Block, Bullets, Code, Paragraph, Remark, Section, Strong, Text
from emoact.report.material import Material, UnitFacts
from emoact.report.words import Words
from emoact.version import __version__


def when(material: Material, words: Words, made: datetime) -> Section:
    """Dates of the extraction and of the report."""
    stamps = [unit.provenance.get(name) for unit in material.units for name in _STAMPS]
    known = sorted(found for stamp in stamps if (found := _parsed(stamp)) is not None)
    blocks: list[Block] = []
    if known:
        first, last = _moment(known[0], words), _moment(known[-1], words)
        key = "when.at" if first == last else "when.span"
        blocks.append(Paragraph(text=words(key, first=first, last=last)))
    if any(not unit.provenance for unit in material.units):
        blocks.append(Paragraph(text=words("when.unknown")))
    blocks.append(
        Paragraph(text=words("when.report", date=_moment(made, words), version=__version__))
    )
    return Section(name="when", title=words("when.title"), blocks=tuple(blocks))


_STAMPS = ("started_at", "ended_at")


def _moment(when: datetime, words: Words) -> str:
    """`2026-01-31 14:05 UTC`, `2026年1月31日 14:05 UTC`."""
    utc = when.astimezone(UTC)
    return words.plain(
        "date",
        year=str(utc.year),
        month=str(utc.month),
        day=str(utc.day),
        padded=f"{utc:%m-%d}",
        time=f"{utc:%H:%M}",
    )


def _parsed(text: object) -> datetime | None:
    """The moment that an ISO 8601 text names; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def overview(material: Material, words: Words) -> Section:
    """The report in a few sentences."""
    samples = sum(unit.n_samples for unit in material.units)
    blocks: list[Block] = [
        Paragraph(
            text=words(
                "overview.main",
                models=words.counted("model", len(material.folders)),
                emotions=words.joined(material.emotions),
                files=words.counted("file", len(material.units)),
                samples=words.counted("sample", samples),
                size=numbers.size(sum(unit.size for unit in material.units)),
            )
        )
    ]
    grave = [finding for finding in material.findings if finding.severity != "note"]
    accused = sum(not audit.ok for audit in material.audits)
    key = "overview.findings" if grave else "overview.no_findings"
    blocks.append(
        Paragraph(
            text=(
                *words(key, findings=words.counted("finding", len(grave))),
                *words("overview.audit_bad" if accused else "overview.audit_ok")
                * bool(material.audits),
            )
        )
    )
    if material.problems:
        refused = words.counted("file", len(material.problems))
        blocks.append(Remark(tone="error", text=words("overview.refused", files=refused)))
    random = [unit.folder for unit in material.units if unit.random_weights]
    if random:
        blocks.append(_random(words, list(dict.fromkeys(random))))
    return Section(name="overview", title=words("overview.title"), blocks=tuple(blocks))


def models(material: Material, words: Words) -> tuple[Section, ...]:
    """One subsection for each model."""
    lead = Section(
        name="models",
        title=words("models.title"),
        blocks=(Paragraph(text=words("models.lead")),),
    )
    return (lead, *(_model(material.of(name), words, n) for n, name in _numbered(material)))


def _numbered(material: Material) -> list[tuple[int, str]]:
    return list(enumerate(material.folders, start=1))


def _model(units: tuple[UnitFacts, ...], words: Words, number: int) -> Section:
    unit, made = units[0], units[0].provenance
    spec = spec_of(unit.model_name)
    items: list[Text] = [
        words("models.name", name=(Code(unit.model_name),)),
        words("models.family", family=spec.family if spec else words.plain("unknown")),
        words("models.layers", layers=unit.n_layers),
        words("models.width", width=unit.d_model),
        words("models.vocabulary", size=unit.d_vocab)
        if unit.d_vocab is not None
        else words("models.vocabulary_unknown"),
    ]
    if made:
        items += [
            words("models.weights", source=_weights(made, words), revision=_revision(made)),
            words("models.processing", processing=(Code(str(made.get("processing"))),)),
        ]
    else:
        items.append(words("models.no_provenance"))
    blocks: list[Block] = [Bullets(items=tuple(items))]
    note = f"footnote.{spec.name}" if spec else ""
    if note and words.has(note):
        blocks.append(Paragraph(text=words(note)))
    if unit.random_weights:
        blocks.insert(0, _random(words, [unit.folder]))
    return Section(
        name=f"model-{number}",
        title=(f"{number}. {unit.folder}",),
        level=3,
        blocks=tuple(blocks),
    )


def spec_of(model_name: str) -> ModelSpec | None:
    """The registry's entry of a hub id."""
    return next((spec for spec in REGISTRY if spec.hub_id == model_name), None)


def _weights(made: Mapping[str, Any], words: Words) -> str:
    return words.plain("random.source") if made.get("random_weights") else _said(made)


def _said(made: Mapping[str, Any]) -> str:
    return str(made.get("weight_source") or "–")


def _revision(made: Mapping[str, Any]) -> Text:
    revision, commit = str(made.get("revision") or "–"), made.get("commit")
    return (Code(revision), " (", Code(str(commit)[:12]), ")") if commit else (Code(revision),)


def _random(words: Words, folders: list[str]) -> Remark:
    badge = (Strong(words.plain("random.badge")), " ")
    names = words.joined(folders)
    return Remark(tone="warning", text=(*badge, *words("random.text", models=names)))


def limits(material: Material, words: Words) -> Section:
    """Limits of the conclusions that the results allow."""
    units = material.units
    keys = ["limits.words", "limits.acts", "limits.scale"]
    if not any("pattern" in unit.saved_sites for unit in units):
        keys.append("limits.attention")
    if any("Q4" in str(unit.provenance.get("weight_source")) for unit in units):
        keys.append("limits.quantised")
    if any(unit.random_weights for unit in units):
        keys.append("limits.random")
    if len(material.folders) == 1:
        keys.append("limits.one_model")
    return Section(
        name="limits",
        title=words("limits.title"),
        blocks=(Bullets(items=tuple(words(key) for key in keys)),),
    )


def conclusion(material: Material, words: Words) -> Section:
    """Totals, as the plan counts them."""
    units = material.units
    n_models, n_emotions = len(material.folders), len(material.emotions)
    complete = len(units) == n_models * n_emotions
    samples = sum(unit.n_samples for unit in units)
    total = words(
        "conclusion.total" if complete else "conclusion.incomplete",
        models=words.counted("model", n_models),
        emotions=words.counted("emotion", n_emotions),
        files=words.counted("file", len(units)),
        samples=words.counted("sample", samples),
    )
    blocks: list[Block] = [
        Paragraph(text=(Strong(words.plain("conclusion.sum")), *total)),
        Paragraph(text=words("conclusion.phase3" if material.phase3 else "conclusion.ready")),
    ]
    return Section(name="conclusion", title=words("conclusion.title"), blocks=tuple(blocks))
