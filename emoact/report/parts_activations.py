"""Files of each model, their norms by layer, and the findings on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.report.document import (
    Block,
    Bullets,
    Code,
    Paragraph,
    Remark,
    Section,
    Strong,
    Text,
    table,
)
from emoact.report.material import Material, UnitFacts
from emoact.report.parts_views import view_blocks
from emoact.report.phase3 import drawn_views
from emoact.report.words import Words
from emoact.sites import SiteName, site_names
from emoact.stats.findings.finding import ActivationFinding
from emoact.stats.findings.finding import Figure as Value
from emoact.stats.norms.tables import sink_table
from emoact.views.activations import Activations
from emoact.views.catalogue import VIEWS


def activations(material: Material, words: Words) -> tuple[Section, ...]:
    """Files and norms, model by model, then the findings."""
    site_items = [words.site_contents(site) for site in _saved_sites(material)]
    lead = Section(
        name="activations",
        title=words("activations.title"),
        blocks=(
            Paragraph(text=words("activations.lead")),
            Bullets(items=(*site_items, words("contents.metadata"))),
            Paragraph(text=words("activations.norms")),
        ),
    )
    parts = [
        Section(
            name=f"files-{number}",
            title=(folder,),
            level=3,
            blocks=tuple(_files(material, folder, words, number)),
        )
        for number, folder in enumerate(material.folders, start=1)
    ]
    return (lead, *parts, _findings(material, words))


def _saved_sites(material: Material) -> list[SiteName]:
    return [
        site for site in site_names() if any(site in unit.saved_sites for unit in material.units)
    ]


def _files(material: Material, folder: str, words: Words, number: int) -> list[Block]:
    units = material.of(folder)
    head = ["file", "samples", "tokens", "size", "sha256"]
    blocks: list[Block] = [
        Paragraph(text=words("files.lead", folder=(Code(f"activations/{folder}/"),))),
        table(
            [words.plain(f"column.{name}") for name in head],
            [
                [
                    (Code(unit.file),),
                    f"{unit.n_samples:,}",
                    f"{unit.n_tokens:,}",
                    numbers.size(unit.size),
                    (Code(unit.sha256),),
                ]
                for unit in units
            ],
            numeric=(1, 2, 3),
        ),
    ]
    random = {folder} if units[0].random_weights else set()
    own = drawn_views(
        Activations(results="", units=units), (view for view in VIEWS if view.page == "activations")
    )
    blocks += view_blocks(own, words, random=random, first=number)
    if words.view("norms"):
        blocks.append(Paragraph(text=_sink(units, material.findings, words)))
    return blocks


def _sink(
    units: tuple[UnitFacts, ...], findings: Sequence[ActivationFinding], words: Words
) -> Text:
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
        "sink.left_out" if all(unit.content_start > 0 for unit in units) else "sink.first_word",
        ratio=numbers.significant(largest["ratio"]),
        layer=int(largest["layer"]),
    )


def _findings(material: Material, words: Words) -> Section:
    blocks: list[Block] = [
        Paragraph(text=words("findings.lead")),
        *(
            Remark(tone=finding.severity, text=_finding(finding, words))
            for finding in material.findings
        ),
    ]
    if not material.findings:
        blocks.append(Paragraph(text=words("findings.none")))
    return Section(name="findings", title=words("findings.title"), level=3, blocks=tuple(blocks))


def _finding(finding: ActivationFinding, words: Words) -> Text:
    """The finding, its meaning, and its effect on phase 3.

    English has the sentences of the pages; another language makes its own of the figures.
    """
    kind = f"finding.{finding.kind}"
    title = Strong(words.plain(f"{kind}.title"))
    lead: Text = (title, " · ", Code(finding.model or words.plain("several")))
    if finding.site is not None:
        lead += (" · ", words.site(finding.site))
    lead += (words.plain("findings.colon"),)
    if not words.has(kind):
        meaning = f"{finding.sentence} {finding.meaning} "
        return (*lead, meaning, Strong("For phase 3:"), f" {finding.phase3}")
    values = {name: _shown(name, value, words) for name, value in finding.figures.items()}
    values["span"] = _span(finding.layers, words)
    phase3 = words(_phase3_key(finding), **values)
    return (*lead, *words(kind, **values), *words(f"{kind}.meaning"), *phase3)


def _phase3_key(finding: ActivationFinding) -> str:
    if finding.kind == "first_token_sink" and finding.matters:
        return "finding.first_token_sink.phase3_no_bos"
    if finding.kind == "dead_dimensions" and finding.matters:
        return "finding.dead_dimensions.phase3_one_class"
    return f"finding.{finding.kind}.phase3"


def _shown(name: str, value: Value, words: Words) -> str:
    if isinstance(value, str):
        return words.emotion(value) if name.endswith("emotion") else value
    if name.endswith("share"):
        return f"{numbers.significant(100 * value, 2)} %"
    return f"{value:,}" if isinstance(value, int) else numbers.significant(value)


def _span(layers: tuple[int, ...], words: Words) -> str:
    if not layers:
        return ""
    if len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return words.plain("layers.range", first=str(layers[0]), last=str(layers[-1]))
    if len(layers) <= 4:
        return words.plain("layers.list", layers=words.joined([str(layer) for layer in layers]))
    return words.plain("layers.some", count=len(layers), first=str(layers[0]), last=str(layers[-1]))
