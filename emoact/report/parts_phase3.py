"""Directions: the results of the newest saved analysis, or the command that makes one."""

from __future__ import annotations

import math
from collections.abc import Collection

import pandas as pd

from emoact.analysis.sentences import p_text
from emoact.models.registry import display_name
from emoact.numbers import MISSING, significant, two
from emoact.report.document import Block, Marked, Remark, Section, bullets, code, listing, marked
from emoact.report.material import Material, Phase3
from emoact.report.parts_views import view_blocks
from emoact.report.words import Words
from emoact.stats.across.between import CREDIBLE
from emoact.stats.across.geometry import HEADLINE
from emoact.views import catalogue
from emoact.views.across_answer import matchings
from emoact.views.theme import emotion_order

_BASELINE = "cross_validated"
_WORDS = ("text", "contextless", "shuffled_words")
_NO_ENDS = f"{MISSING} [{MISSING}, {MISSING}]"


def phase3(material: Material, words: Words) -> tuple[Section, ...]:
    """Directions, distances and models compared; without an analysis the plan and the command."""
    found, random = material.phase3, material.random
    unread = [
        Remark(tone="warning", text=words("phase3.unread", reason=reason))
        for reason in material.unread_analyses
    ]
    unread += [
        Remark(
            tone="warning",
            text=words("causes.left_out", results=words.counted("result", n), reason=reason),
        )
        for reason, n in material.left_out.items()
    ]
    if found is None:
        plan = ("direction", "strength", "distances", "across")
        how = [
            words("phase3.missing"),
            listing("python -m emoact analyze", "sh"),
            bullets(words(f"phase3.plan.{step}") for step in plan),
        ]
        return (words.section("phase3", [*unread, *how]),)
    mixed = _mixed_badge(found, words)
    lead = [_lead(found, words), *unread, *mixed, *_cautions(found, random, words)]
    tables = {"directions": _headline, "across": _across}
    views = catalogue.of_analyses()
    sections = []
    pages = ("directions", "distances", "across", *(view.page for view in views))
    for page in dict.fromkeys(pages):
        own = [view for view in views if view.page == page]
        blocks = tables[page](found, random, words) if page in tables else []
        blocks += view_blocks(found.source, own, words, random=random, badges=mixed)
        if words.has(f"{page}.lead") and blocks:
            blocks.insert(0, words(f"{page}.lead"))
        title = words(f"{page}.title") if words.has(f"{page}.title") else marked(own[0].title)
        if page == "across" and not blocks:
            blocks.append(words("across.missing"))
        if blocks:
            sections.append(words.section(page, blocks, level=3, title=title))
    return (words.section("phase3", lead), *sections)


def _lead(found: Phase3, words: Words) -> Marked:
    saved = found.source.saved
    settings = saved.settings
    neutral = words.emotion(settings.neutral)
    return words(
        "phase3.lead",
        id=code(saved.id),
        neutral=neutral if settings.reference == "neutral" else words("phase3.grand_mean"),
        pooling=code(settings.pooling),
        permutations=settings.n_permutations,
        seed=str(settings.seed),
    )


def _cautions(found: Phase3, random: Collection[str], words: Words) -> list[Block]:
    blocks: list[Block] = []
    if not found.current:
        blocks.append(Remark(tone="warning", text=words("phase3.stale")))
    if random:
        text = words("phase3.random", models=words.joined(sorted(random)))
        blocks.append(Remark(tone="warning", text=text))
    saved = found.source.saved
    notes = [
        Marked(f"{code(note.where)}: {marked(words.either(f'analysis.{note.code}', note.message))}")
        for note in (*saved.findings, *saved.refusals)
    ]
    return [*blocks, bullets(notes)]


def _mixed_badge(found: Phase3, words: Words) -> list[Remark]:
    fields = words.joined(found.mixed)
    remark = Remark(tone="warning", text=words("phase3.mixed", fields=fields))
    return [remark] if found.mixed else []


def _headline(found: Phase3, random: Collection[str], words: Words) -> list[Block]:
    site = found.source.sites[0]
    rows = found.source.rows("headline", site=site)
    order = emotion_order(rows["emotion"])
    rows = rows.sort_values(
        ["model", "emotion"],
        key=lambda column: column.map(order.index) if column.name == "emotion" else column,
        kind="stable",
    )
    head = ["model", "emotion", "p_holm", "layers", "balanced", *_WORDS, "verdict"]
    table = words.table(
        head,
        [_headline_row(row, words, random) for _, row in rows.iterrows()],
        numeric=range(2, 8),
        caption=words("directions.caption", site=words.site(site), layers=_layers(rows)),
    )
    return [*answer(found, random, words), *_mixed_badge(found, words), table]


def answer(found: Phase3, random: Collection[str], words: Words) -> list[Block]:
    """The number of directions beyond chance and beyond words; nothing without trained models."""
    site = found.source.sites[0]
    rows = found.source.rows("headline", site=site)
    real = rows[~rows["model"].isin(list(random)) & (rows["evaluation"] == _BASELINE)]
    if not len(real):
        return []
    # Without control extractions no probe was compared with them.
    compared = real[["contextless_difference", "shuffled_words_difference"]].notna().any(axis=None)
    said = words(
        "directions.answer" if compared else "directions.untested",
        site=words.site(site),
        significant=int(real["significant"].sum()),
        beyond=int((real["verdict"] == "beyond_words").sum()),
        total=len(real),
    )
    return [said]


def _headline_row(row: pd.Series, words: Words, random: Collection[str]) -> list[str]:
    evaluation = "" if row["evaluation"] == _BASELINE else words.plain("directions.transfer")
    baseline = words.either(f"baseline.{row['baseline']}", str(row["baseline"]))
    text, *others = (_between(row, f"{name}_difference") for name in _WORDS)
    verdict = "random" if row["model"] in random else str(row["verdict"])
    # A table of an earlier version has no such columns.
    order = {}
    if "auroc" in row:
        order = {"auroc": _between(row, "auroc"), "p": p_text(row["p_order"])}
    return [
        display_name(str(row["model"])),
        words.emotion(str(row["emotion"])) + evaluation,
        significant(row["p_holm"], 2),
        str(row["layers"]),
        _between(row, "balanced_accuracy", "balanced"),
        f"{text} ({baseline})",
        *others,
        words.plain(f"verdict.{verdict}", **order),
    ]


def _between(row: pd.Series, value: str, ends: str | None = None) -> str:
    """A value with its interval."""
    low, high = (two(row[f"{ends or value}_{end}"]) for end in ("low", "high"))
    return f"{two(row[value])} [{low}, {high}]"


def _layers(rows: pd.DataFrame) -> str:
    spans = rows[["layer_first", "layer_last"]].dropna().drop_duplicates().to_numpy(dtype=int)
    return ", ".join(f"{first}–{last}" for first, last in spans) or MISSING


def _across(found: Phase3, random: Collection[str], words: Words) -> list[Block]:
    site = found.source.sites[0]
    rows = found.source.rows("across", site=site)
    if not len(rows):
        return []
    cells = []
    for (a, b, emotion), own in rows.groupby(["model_a", "model_b", "emotion"], sort=False):
        # A correlation that was divided by almost no reliability is no estimate.
        scores = own["score_corr"].median()
        middle = own.drop(columns=["model_a", "model_b", "site", "emotion"]).median()
        p = own[f"{HEADLINE}_p_max"]
        cells.append(
            [
                f"{display_name(a)} – {display_name(b)}",
                words.emotion(emotion),
                _between(middle, HEADLINE),
                f"{significant(p.min(), 2)} ({p.notna().sum()})",
                *(two(middle[f"{HEADLINE}_{name}"]) for name in ("other", "words_a", "words_b")),
                two(middle[f"{HEADLINE}_partial"]),
                two(scores if abs(scores) <= CREDIBLE else math.nan),
                two(middle["procrustes"]),
                _between(middle, "raw_cos", "raw"),
            ]
        )
    names = ("geometry", "geometry_p", "other", "words_a", "words_b", "partial")
    columns = ["models", "emotion", *names, "score_corr", "procrustes", "raw_cos"]
    # A measure that no pair of these models has says nothing.
    kept = [n for n, c in enumerate(zip(*cells, strict=True)) if not set(c) <= {MISSING, _NO_ENDS}]
    table = words.table(
        [columns[number] for number in kept],
        [[row[number] for number in kept] for row in cells],
        numeric=range(2, len(kept)),
        caption=words("across.caption", site=words.site(site)),
    )
    badge = [Remark(tone="warning", text=words("random.short"))] if random else []
    return [*_matched(found, rows, words), *badge, *_mixed_badge(found, words), table]


def _matched(found: Phase3, across: pd.DataFrame, words: Words) -> list[Block]:
    said: list[Block] = []
    pairs = across.groupby(["model_a", "model_b"], sort=False)
    for (a, b), rows in pairs:
        tried = matchings(
            rows,
            alpha=found.source.saved.settings.alpha,
            n_classes=found.source.n_shared_classes(a, b),
            n_pairs=len(pairs),
        )
        if math.isfinite(tried.p):
            shown = "alike" if tried.shown else "not_alike" if tried.possible else "not_possible"
            said.append(
                words(
                    f"across.{shown}",
                    a=code(a),
                    b=code(b),
                    count=tried.ways,
                    classes=tried.n_classes,
                    pairs=tried.n_pairs,
                    p=significant(tried.p, 2),
                )
            )
    return said
