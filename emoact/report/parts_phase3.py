"""Phase 3: the results of the newest saved analysis, or the command that makes one."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd

from emoact.numbers import significant
from emoact.report.document import (
    Block,
    Bullets,
    Code,
    Listing,
    Paragraph,
    Remark,
    Section,
    Strong,
    Text,
    table,
)
from emoact.report.material import Material
from emoact.report.parts_views import view_blocks
from emoact.report.phase3 import Phase3
from emoact.report.words import Words
from emoact.stats.across.between import CREDIBLE
from emoact.views.theme import emotion_order

_BASELINE = "cross_validated"


def phase3(material: Material, words: Words) -> tuple[Section, ...]:
    """Directions, distances and models compared; without an analysis the plan and the command."""
    found = material.phase3
    if found is None:
        return (_missing(material, words),)
    random = {unit.folder for unit in material.units if unit.random_weights}
    lead = Section(
        name="phase3",
        title=words("phase3.title"),
        blocks=(
            *_lead(found, words),
            *_unread(material, words),
            *_cautions(found, random, words),
        ),
    )
    tables = {"directions": _headline, "across": _across}
    pages = dict.fromkeys(
        ["directions", "distances", "across", *(drawn.view.page for drawn in found.views)]
    )
    sections = []
    for page in pages:
        blocks = list(tables[page](found, random, words)) if page in tables else []
        own = [drawn for drawn in found.views if drawn.view.page == page]
        blocks += view_blocks(own, words, random=random, badges=_mixed_badge(found, words))
        if words.has(f"{page}.lead") and blocks:
            blocks.insert(0, Paragraph(text=words(f"{page}.lead")))
        title = words(f"{page}.title") if words.has(f"{page}.title") else (own[0].view.title,)
        if page == "across" and not blocks:
            blocks.append(Paragraph(text=words("across.missing")))
        sections.append(Section(name=page, title=title, level=3, blocks=tuple(blocks)))
    return (lead, *sections)


def _missing(material: Material, words: Words) -> Section:
    plan = ("direction", "strength", "distances", "across")
    return Section(
        name="phase3",
        title=words("phase3.title"),
        blocks=(
            *_unread(material, words),
            Paragraph(text=words("phase3.missing")),
            Listing(text="python -m emoact analyze\n", language="sh"),
            Bullets(items=tuple(words(f"phase3.plan.{step}") for step in plan)),
        ),
    )


def _unread(material: Material, words: Words) -> list[Remark]:
    """Analyses that are there and cannot be read."""
    return [
        Remark(tone="warning", text=words("phase3.unread", reason=reason))
        for reason in material.unread_analyses
    ]


def _lead(found: Phase3, words: Words) -> Iterable[Block]:
    saved = found.source.saved
    settings = saved.settings
    yield Paragraph(
        text=words(
            "phase3.lead",
            id=(Code(saved.id),),
            neutral=words.plain("phase3.grand_mean")
            if settings.reference == "grand_mean"
            else words.emotion(settings.neutral),
            pooling=(Code(settings.pooling),),
            permutations=settings.n_permutations,
            seed=str(settings.seed),
        )
    )


def _cautions(found: Phase3, random: set[str], words: Words) -> Iterable[Block]:
    if not found.current:
        yield Remark(tone="warning", text=words("phase3.stale"))
    yield from _mixed_badge(found, words)
    if random:
        badge = (Strong(words.plain("random.badge")), " ")
        said = words("phase3.random", models=words.joined(sorted(random)))
        yield Remark(tone="warning", text=(*badge, *said))
    if found.notes:
        yield Bullets(
            items=tuple(
                (
                    Code(note["where"]),
                    words.plain("findings.colon"),
                    *words.either(f"analysis.{note['code']}", note["message"]),
                )
                for note in found.notes
            )
        )


def _mixed_badge(found: Phase3, words: Words) -> list[Remark]:
    if not found.mixed:
        return []
    badge = (Strong(words.plain("phase3.mixed_badge")), " ")
    fields = words.joined(found.mixed)
    return [Remark(tone="warning", text=(*badge, *words("phase3.mixed", fields=fields)))]


def _headline(found: Phase3, random: set[str], words: Words) -> Iterable[Block]:
    """The verdict on each direction of the first site."""
    rows = found.source.rows("headline", site=found.source.sites[0])
    rows = rows.sort_values(
        ["model", "emotion"],
        key=lambda column: (
            column.map(emotion_order(column).index) if column.name == "emotion" else column
        ),
        kind="stable",
    )
    real = rows[~rows["model"].isin(random) & (rows["evaluation"] == _BASELINE)]
    if len(real):
        yield Paragraph(
            text=words(
                "directions.answer",
                site=words.site(found.source.sites[0]),
                significant=int(real["significant"].sum()),
                beyond=int((real["verdict"] == "beyond_words").sum()),
                total=len(real),
            )
        )
    head = ["model", "emotion", "p_holm", "layers", "accuracy", "baseline", "difference", "verdict"]
    yield from _mixed_badge(found, words)
    yield table(
        [words.plain(f"column.{name}") for name in head],
        [_headline_row(row, words, random) for _, row in rows.iterrows()],
        numeric=(2, 3, 4, 5, 6),
        caption=words("directions.caption", site=words.site(found.source.sites[0])),
    )


def _headline_row(row: pd.Series, words: Words, random: set[str]) -> list[str | Text]:
    low, high = _two(row["difference_low"]), _two(row["difference_high"])
    evaluation = "" if row["evaluation"] == _BASELINE else words.plain("directions.transfer")
    baseline = str(row["baseline"])
    shown = "".join(words.either(f"baseline.{baseline}", baseline))
    verdict = "random" if row["model"] in random else str(row["verdict"])
    return [
        str(row["model"]),
        words.emotion(str(row["emotion"])) + evaluation,
        significant(row["p_holm"], 2),
        str(row["layers"]),
        _two(row["accuracy"]),
        f"{_two(row['baseline_accuracy'])} ({shown})",
        f"{_two(row['difference'])} [{low}, {high}]",
        words.plain(f"verdict.{verdict}"),
    ]


def _across(found: Phase3, random: set[str], words: Words) -> Iterable[Block]:
    """Medians over matched layers for every pair of models and emotion."""
    rows = found.source.rows("across", site=found.source.sites[0])
    if not len(rows):
        return
    head = ["models", "emotion", "score_corr", "ceiling", "procrustes", "raw_cos", "raw_band"]
    cells = []
    for (a, b, emotion), own in rows.groupby(["model_a", "model_b", "emotion"], sort=False):
        # A correlation that was divided by almost no reliability is no estimate.
        scores = own["score_corr"].median()
        middle = own[["ceiling", "procrustes", "raw_cos", "raw_low", "raw_high"]].median()
        cells.append(
            [
                f"{a} – {b}",
                words.emotion(emotion),
                _two(scores if abs(scores) <= CREDIBLE else math.nan),
                *(_two(middle[name]) for name in ("ceiling", "procrustes", "raw_cos")),
                f"[{_two(middle['raw_low'])}, {_two(middle['raw_high'])}]",
            ]
        )
    if random:
        text = (Strong(words.plain("random.badge")), " ", *words("random.short"))
        yield Remark(tone="warning", text=text)
    yield from _mixed_badge(found, words)
    yield table(
        [words.plain(f"column.{name}") for name in head],
        cells,
        numeric=(2, 3, 4, 5, 6),
        caption=words("across.caption", site=words.site(found.source.sites[0])),
    )


def _two(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"
