"""Files of each model, their norms by layer, and the findings on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.report.document import Block, Marked, Remark, Section, bullets, code, marked
from emoact.report.material import Material, UnitFacts
from emoact.report.parts_views import view_blocks
from emoact.report.words import Words
from emoact.stats.findings.finding import ActivationFinding
from emoact.stats.findings.finding import Figure as Value
from emoact.stats.norms.tables import sink_table
from emoact.views import catalogue
from emoact.views.activations import Activations


def activations(material: Material, words: Words) -> tuple[Section, ...]:
    """Files and norms, model by model, then the findings."""
    contents = []
    for site in material.sites:
        shape = code(f"float32 [{site.shape.replace(' ', ', ')}]")
        name, definition = marked(words.site(site.name)), marked(site.definition.of(words.lang))
        contents.append(Marked(f"**{name}**: {definition} ({shape})"))
    lead = [
        words("activations.lead"),
        bullets([*contents, words("contents.metadata")]),
        words("activations.norms"),
    ]
    files = [
        words.section(
            f"files-{number}",
            _files(material, folder, words, number),
            level=3,
            title=marked(folder),
        )
        for number, folder in enumerate(material.folders, start=1)
    ]
    found: list[Block] = [words("findings.lead")]
    found += [Remark(tone=each.severity, text=_finding(each, words)) for each in material.findings]
    if not material.findings:
        found.append(words("findings.none"))
    findings = words.section("findings", found, level=3)
    return (words.section("activations", lead), *files, findings)


def _files(material: Material, folder: str, words: Words, number: int) -> list[Block]:
    units = material.of(folder)
    measured = tuple(unit for unit in units if unit.sites)
    rows = [
        [
            code(unit.file),
            f"{unit.n_samples:,}",
            f"{unit.n_tokens:,}",
            numbers.size(unit.size),
            code(unit.sha256),
        ]
        for unit in units
    ]
    blocks: list[Block] = [
        words("files.lead", folder=code(f"activations/{folder}/")),
        words.table(["file", "samples", "tokens", "size", "sha256"], rows, numeric=(1, 2, 3)),
        *view_blocks(
            Activations(results="", units=measured),
            catalogue.of_page("activations"),
            words,
            random=material.random,
            first=number,
        ),
    ]
    if len(measured) < len(units):
        blocks.append(Remark(tone="note", text=words("files.pooled")))
    if words.lang != "en" and measured:
        blocks.append(_sink(measured, material.findings, words))
    return blocks


def _sink(
    units: tuple[UnitFacts, ...], findings: Sequence[ActivationFinding], words: Words
) -> Marked:
    """The norm at position 0 against the content; it often dominates a mean."""
    site, folder = "resid_pre", units[0].folder
    sinks = [sink_table(unit, site) for unit in units if site in unit.saved_sites]
    known = pd.concat([pd.DataFrame({"ratio": []}), *sinks], ignore_index=True)
    known = known[np.isfinite(known["ratio"])]
    if known.empty:
        return words("sink.unknown")
    largest = known.loc[known["ratio"].idxmax()]
    for each in findings:
        # The finding is about all classes together; the report must not give two figures.
        if (each.kind, each.model, each.site) == ("first_token_sink", folder, site):
            largest = pd.Series(each.figures)
    return words(
        "sink.first_word" if any(unit.first_is_text for unit in units) else "sink.left_out",
        ratio=numbers.significant(largest["ratio"]),
        layer=int(largest["layer"]),
    )


def _finding(finding: ActivationFinding, words: Words) -> str:
    """The finding, its meaning, and its effect on directions.

    English has the sentences of the pages; another language makes its own of the figures.
    """
    kind = f"finding.{finding.kind}"
    lead = f"**{words(f'{kind}.title')}** · {code(finding.model or words.plain('several'))}"
    if finding.site is not None:
        lead += f" · {marked(words.site(finding.site))}"
    if not words.has(kind):
        said = marked(f"{finding.sentence} {finding.meaning}")
        return f"{lead}: {said} **Does it change directions?** {marked(finding.phase3)}"
    values = {name: _shown(name, value, words) for name, value in finding.figures.items()}
    values["span"] = _span(finding.layers, words)
    special = {
        "first_token_sink": ".phase3_no_bos",
        "dead_dimensions": ".phase3_apart"
        if finding.figures.get("differs")
        else ".phase3_one_class",
    }
    ending = special.get(finding.kind, ".phase3") if finding.matters else ".phase3"
    parts = (words(f"{kind}{part}", **values) for part in ("", ".meaning", ending))
    return f"{lead}: {''.join(parts)}"


def _shown(name: str, value: Value, words: Words) -> str:
    if isinstance(value, str):
        return words.emotion(value) if name.endswith("emotion") else value
    if name.endswith("share"):
        return numbers.percent(value)
    return f"{value:,}" if isinstance(value, int) else numbers.significant(value)


def _span(layers: tuple[int, ...], words: Words) -> str:
    if not layers:
        return ""
    if len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return words.plain("layers.range", first=str(layers[0]), last=str(layers[-1]))
    if len(layers) <= 4:
        return words.plain("layers.list", layers=words.joined([str(layer) for layer in layers]))
    return words.plain("layers.some", count=len(layers), first=str(layers[0]), last=str(layers[-1]))
