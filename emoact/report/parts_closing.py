"""What is open, and what it all comes to."""

from __future__ import annotations

from emoact.report.document import Block, Bullets, Paragraph, Section, Strong
from emoact.report.material import Material
from emoact.report.words import Words


def limits(material: Material, words: Words) -> Section:
    """What a reader should not take the figures for."""
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
