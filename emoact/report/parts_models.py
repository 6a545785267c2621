"""First and last parts: date, overview, models; limits and conclusion."""

from __future__ import annotations

from datetime import UTC, datetime

from emoact import numbers
from emoact.models.registry import REGISTRY, display_name
from emoact.report.document import Block, Marked, Remark, Section, bullets, code
from emoact.report.material import Material, UnitFacts
from emoact.report.parts_phase3 import answer
from emoact.report.words import Words
from emoact.version import __version__

_STAMPS = ("started_at", "ended_at")


def when(material: Material, words: Words, made: datetime) -> Section:
    """Dates of the extraction and of the report."""
    stamps = [unit.provenance.get(name) for unit in material.units for name in _STAMPS]
    known = sorted(found for stamp in stamps if (found := numbers.moment_of(stamp)) is not None)
    blocks: list[Block] = []
    if known:
        first, last = _moment(known[0], words), _moment(known[-1], words)
        blocks.append(words("when.at" if first == last else "when.span", first=first, last=last))
    if any(not unit.provenance for unit in material.units):
        blocks.append(words("when.unknown"))
    blocks.append(words("when.report", date=_moment(made, words), version=__version__))
    return words.section("when", blocks)


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


def overview(material: Material, words: Words) -> Section:
    """The report in a few sentences."""
    grave = [finding for finding in material.findings if finding.severity != "note"]
    checked = words(
        "overview.findings" if grave else "overview.no_findings",
        findings=words.counted("finding", len(grave)),
    )
    if material.audits:
        fair = all(audit.ok for audit in material.audits)
        checked = Marked(checked + words("overview.audit_ok" if fair else "overview.audit_bad"))
    blocks: list[Block] = [
        words(
            "overview.main",
            models=words.counted("model", len(material.folders)),
            emotions=words.joined(material.emotions),
            files=words.counted("file", len(material.units)),
            samples=words.counted("sample", material.n_samples),
            size=numbers.size(sum(unit.size for unit in material.units)),
        ),
        checked,
    ]
    if material.problems:
        refused = words.counted("file", len(material.problems))
        blocks.append(Remark(tone="error", text=words("overview.refused", files=refused)))
    if material.random:
        blocks.append(_random(words, material.random))
    return words.section("overview", blocks)


def _random(words: Words, folders: tuple[str, ...]) -> Remark:
    return Remark(tone="warning", text=words("random.text", models=words.joined(folders)))


def models(material: Material, words: Words) -> tuple[Section, ...]:
    """One subsection for each model."""
    lead = words.section("models", [words("models.lead")])
    numbered = enumerate(material.folders, start=1)
    return (lead, *(_model(material.of(name), words, number) for number, name in numbered))


def _model(units: tuple[UnitFacts, ...], words: Words, number: int) -> Section:
    unit, made = units[0], units[0].provenance
    spec = next((spec for spec in REGISTRY if spec.hub_id == unit.model_name), None)
    items = [
        words("models.name", name=code(unit.model_name)),
        *([words("models.family", family=spec.family)] if spec else []),
        words("models.layers", layers=unit.n_layers),
        words("models.width", width=unit.d_model),
        words("models.vocabulary_unknown")
        if unit.d_vocab is None
        else words("models.vocabulary", size=unit.d_vocab),
    ]
    if made:
        source = str(made.get("weight_source") or numbers.MISSING)
        revision, commit = code(str(made.get("revision") or numbers.MISSING)), made.get("commit")
        items += [
            words(
                "models.weights",
                source=words.plain("random.source") if made.get("random_weights") else source,
                revision=Marked(f"{revision} ({code(str(commit)[:12])})") if commit else revision,
            ),
            words("models.processing", processing=code(str(made.get("processing")))),
        ]
    else:
        items.append(words("models.no_provenance"))
    blocks: list[Block] = [bullets(items)]
    if spec and words.has(f"footnote.{spec.name}"):
        blocks.append(words(f"footnote.{spec.name}"))
    if unit.random_weights:
        blocks.insert(0, _random(words, (unit.folder,)))
    return words.section(
        f"model-{number}", blocks, level=3, title=f"{number}. {display_name(unit.folder)}"
    )


def limits(material: Material, words: Words) -> Section:
    """Limits of the conclusions that the results allow."""
    units = material.units
    keys = ["limits.words", "limits.acts", "limits.scale"]
    if not any("pattern" in unit.saved_sites for unit in units):
        keys.append("limits.attention")
    if any("Q4" in str(unit.provenance.get("weight_source")) for unit in units):
        keys.append("limits.quantised")
    if material.random:
        keys.append("limits.random")
    if len(material.folders) == 1:
        keys.append("limits.one_model")
    return words.section("limits", [bullets(words(key) for key in keys)])


def conclusion(material: Material, words: Words) -> Section:
    """Totals, as the plan counts them."""
    n_models, n_emotions = len(material.folders), len(material.emotions)
    complete = len(material.units) == n_models * n_emotions
    total = words(
        "conclusion.total" if complete else "conclusion.incomplete",
        models=words.counted("model", n_models),
        emotions=words.counted("emotion", n_emotions),
        files=words.counted("file", len(material.units)),
        samples=words.counted("sample", material.n_samples),
    )
    ready = words("conclusion.phase3" if material.phase3 else "conclusion.ready")
    found = answer(material.phase3, material.random, words) if material.phase3 else []
    return words.section("conclusion", [total, *found, ready])
