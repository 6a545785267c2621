"""Phase 3: what the newest saved analysis found, or how to make one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from emoact.numbers import significant
from emoact.report.document import (
    Block,
    Bullets,
    Code,
    Figure,
    Listing,
    Paragraph,
    Remark,
    Section,
    Strong,
    Text,
    table,
)
from emoact.report.material import Material
from emoact.report.phase3 import Phase3, Row
from emoact.report.words import Words
from emoact.sites import site as known_site
from emoact.stats.across.between import CREDIBLE
from emoact.views.chart import Axis, Band, Chart, Key, Line, Mark, Panel, of_emotion
from emoact.views.plots.theme import emotion_order

_BASELINE = "cross_validated"


def phase3(material: Material, words: Words) -> tuple[Section, ...]:
    """Directions, distances and models compared; without an analysis the plan and the command."""
    found = material.phase3
    if found is None:
        return (_missing(material, words),)
    lead = Section(
        name="phase3",
        title=words("phase3.title"),
        blocks=tuple(_lead(found, material, words)),
    )
    return (
        lead,
        _directions(found, material, words),
        _distances(found, material, words),
        _across(found, material, words),
    )


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


def _lead(found: Phase3, material: Material, words: Words) -> Iterable[Block]:
    settings = found.settings
    yield Paragraph(
        text=words(
            "phase3.lead",
            id=(Code(found.id),),
            neutral=words.plain("phase3.grand_mean")
            if settings.get("reference") == "grand_mean"
            else words.emotion(str(settings.get("neutral", "neutral"))),
            pooling=(Code(str(settings.get("pooling", "–"))),),
            permutations=int(settings.get("n_permutations", 0)),
            seed=str(settings.get("seed", "–")),
        )
    )
    yield from _unread(material, words)
    if not found.current:
        yield Remark(tone="warning", text=words("phase3.stale"))
    yield from _mixed_badge(found, words)
    if random_models(material):
        names = words.joined(sorted(random_models(material)))
        badge = (Strong(words.plain("random.badge")), " ")
        yield Remark(tone="warning", text=(*badge, *words("phase3.random", models=names)))
    notes = [_note(finding, words) for finding in found.findings]
    if notes:
        yield Bullets(items=tuple(notes))


def random_models(material: Material) -> set[str]:
    """Folders whose weights say nothing about language."""
    return {unit.folder for unit in material.units if unit.random_weights}


def _badges(found: Phase3, random: bool, words: Words) -> list[Remark]:
    """What stands before every figure and table of random weights or of a mixture."""
    text = (Strong(words.plain("random.badge")), " ", *words("random.short"))
    weights = [Remark(tone="warning", text=text)] if random else []
    return [*weights, *_mixed_badge(found, words)]


def _mixed_badge(found: Phase3, words: Words) -> list[Remark]:
    if not found.mixed:
        return []
    badge = (Strong(words.plain("phase3.mixed_badge")), " ")
    fields = words.joined(found.mixed)
    return [Remark(tone="warning", text=(*badge, *words("phase3.mixed", fields=fields)))]


def _note(finding: dict[str, str] | Row, words: Words) -> Text:
    key = f"analysis.{finding['code']}"
    said = words(key) if words.has(key) else (str(finding["message"]),)
    return (Code(str(finding["where"])), words.plain("findings.colon"), *said)


def _directions(found: Phase3, material: Material, words: Words) -> Section:
    blocks: list[Block] = [Paragraph(text=words("directions.lead"))]
    random = random_models(material)
    rows = found.rows("headline", evaluation=_BASELINE, site=found.sites[0])
    real = [row for row in rows if row["model"] not in random]
    if real:
        blocks.append(Paragraph(text=_answer(real, words)))
    head = ["model", "emotion", "p_holm", "layers", "accuracy", "baseline", "difference", "verdict"]
    order = emotion_order(str(row["emotion"]) for row in found.rows("headline"))
    shown = sorted(
        found.rows("headline", site=found.sites[0]),
        key=lambda row: (str(row["model"]), order.index(str(row["emotion"]))),
    )
    blocks += _mixed_badge(found, words)
    blocks.append(
        table(
            [words.plain(f"column.{name}") for name in head],
            [_headline_row(row, words, random=row["model"] in random) for row in shown],
            numeric=(2, 3, 4, 5, 6),
            caption=words("directions.caption", site=words.site(found.sites[0])),
        )
    )
    for number, model in enumerate(_models(found, "strength"), start=1):
        panels = _strength_panels(found, model, words)
        if panels:
            blocks += _badges(found, model in random, words)
            blocks.append(
                Figure(
                    name=f"strength-{number}",
                    chart=Chart(rows=(panels,), key=(_null_key(words),), share_y=False),
                    caption=words("strength.caption", model=model),
                    alt=words.plain("strength.alt", model=model),
                )
            )
    return Section(
        name="directions", title=words("directions.title"), level=3, blocks=tuple(blocks)
    )


def _answer(rows: list[Row], words: Words) -> Text:
    beyond = [row for row in rows if row["verdict"] == "beyond_words"]
    return words(
        "directions.answer",
        significant=sum(bool(row["significant"]) for row in rows),
        beyond=len(beyond),
        total=len(rows),
    )


def _headline_row(row: Row, words: Words, *, random: bool) -> list[str | Text]:
    low, high = _two(row["difference_low"]), _two(row["difference_high"])
    evaluation = "" if row["evaluation"] == _BASELINE else words.plain("directions.transfer")
    baseline = str(row["baseline"])
    shown = words.plain(f"baseline.{baseline}") if words.has(f"baseline.{baseline}") else baseline
    verdict = "random" if random else str(row["verdict"])
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


def _two(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _models(found: Phase3, name: str) -> list[str]:
    return list(dict.fromkeys(str(row["model"]) for row in found.tables.get(name, ())))


def _strength_panels(found: Phase3, model: str, words: Words) -> tuple[Panel, ...]:
    panels = []
    for site in found.sites:
        rows = found.rows("strength", model=model, site=site)
        emotions = emotion_order(str(row["emotion"]) for row in rows)
        if not rows:
            continue
        marks: list[Mark] = [_null(rows)]
        for emotion in emotions:
            own = [row for row in rows if row["emotion"] == emotion]
            marks += _marks(
                words.emotion(emotion),
                own,
                "cv",
                colour=of_emotion(emotion),
                edges=("cv_low", "cv_high"),
                dashed=known_site(site).dash != "solid",
            )
        panels.append(_panel(words.site(site), marks, "axis.strength", words))
    return tuple(panels)


def _panel(title: str, marks: list[Mark], axis: str, words: Words) -> Panel:
    return Panel(
        title=title,
        marks=tuple(marks),
        x=Axis(title=words.plain("axis.layer"), scale="layer"),
        y=Axis(title=words.plain(axis), zero=True),
    )


def _null_key(words: Words) -> Key:
    return Key(name=words.plain("null.permutation"), kind="band", colour="null")


def _marks(
    name: str,
    rows: list[Row],
    column: str,
    *,
    colour: str,
    edges: tuple[str, str] | None = None,
    dashed: bool = False,
) -> list[Mark]:
    """A line with the band of its interval."""
    rows = sorted(rows, key=lambda row: int(row["layer"]))
    layers = [int(row["layer"]) for row in rows]
    line = Line(
        x=layers,
        y=[_number(row[column]) for row in rows],
        colour=colour,
        name=name,
        symbol=colour,
        dash="dash" if dashed else "solid",
        legend=True,
    )
    if edges is None:
        return [line]
    low, high = ([_number(row[edge]) for row in rows] for edge in edges)
    return [Band(x=layers, low=low, high=high, colour=colour), line]


def _null(rows: list[Row]) -> Band:
    """The widest of the null bands at each layer."""
    layers = sorted({int(row["layer"]) for row in rows})
    at = {layer: [row for row in rows if int(row["layer"]) == layer] for layer in layers}
    return Band(
        x=layers,
        low=[min(_number(row["null_low"]) for row in at[layer]) for layer in layers],
        high=[max(_number(row["null_high"]) for row in at[layer]) for layer in layers],
        colour="null",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _distances(found: Phase3, material: Material, words: Words) -> Section:
    blocks: list[Block] = [Paragraph(text=words("distances.lead"))]
    for number, model in enumerate(_models(found, "distances"), start=1):
        rows = found.rows("distances", model=model, site=found.sites[0])
        if not rows:
            continue
        pairs = list(dict.fromkeys((str(r["emotion_a"]), str(r["emotion_b"])) for r in rows))
        drawn: dict[str, list[Mark]] = {"cosine": [_null(rows)], "cv_cosine": []}
        for column, marks in drawn.items():
            for a, b in pairs:
                own = [row for row in rows if (row["emotion_a"], row["emotion_b"]) == (a, b)]
                name = f"{words.emotion(a)} – {words.emotion(b)}"
                marks += _marks(name, own, column, colour=of_emotion(f"{a}-{b}"))
        expected = median(_number(row["expectation"]) for row in rows)
        blocks += _badges(found, model in random_models(material), words)
        blocks.append(
            Figure(
                name=f"distances-{number}",
                chart=Chart(
                    rows=(
                        (
                            _panel(
                                words.plain("distances.plain"),
                                drawn["cosine"],
                                "axis.cosine",
                                words,
                            ),
                            _panel(
                                words.plain("distances.cv"),
                                drawn["cv_cosine"],
                                "axis.cosine",
                                words,
                            ),
                        ),
                    ),
                    key=(_null_key(words),),
                ),
                alt=words.plain("distances.alt", model=model),
                caption=words(
                    "distances.caption", model=model, expectation=significant(expected, 2)
                ),
            )
        )
    return Section(name="distances", title=words("distances.title"), level=3, blocks=tuple(blocks))


def _across(found: Phase3, material: Material, words: Words) -> Section:
    rows = found.rows("across", site=found.sites[0])
    if not rows:
        return Section(
            name="across",
            title=words("across.title"),
            level=3,
            blocks=(Paragraph(text=words("across.missing")),),
        )
    keys = list(
        dict.fromkeys((str(r["model_a"]), str(r["model_b"]), str(r["emotion"])) for r in rows)
    )
    head = ["models", "emotion", "score_corr", "ceiling", "procrustes", "raw_cos", "raw_band"]
    cells = []
    for a, b, emotion in keys:
        own = [r for r in rows if (r["model_a"], r["model_b"], r["emotion"]) == (a, b, emotion)]
        low, high = _middle(own, "raw_low"), _middle(own, "raw_high")
        cells.append(
            [
                f"{a} – {b}",
                words.emotion(emotion),
                _middle(own, "score_corr", within=CREDIBLE),
                _middle(own, "ceiling"),
                _middle(own, "procrustes"),
                _middle(own, "raw_cos"),
                f"[{low}, {high}]",
            ]
        )
    return Section(
        name="across",
        title=words("across.title"),
        level=3,
        blocks=(
            Paragraph(text=words("across.lead")),
            *_badges(found, bool(random_models(material)), words),
            table(
                [words.plain(f"column.{name}") for name in head],
                cells,
                numeric=(2, 3, 4, 5, 6),
                caption=words("across.caption", site=words.site(found.sites[0])),
            ),
        ),
    )


def _middle(rows: list[Row], column: str, *, within: float = math.inf) -> str:
    values = [value for row in rows if math.isfinite(value := _number(row[column]))]
    middle = median(values) if values else math.nan
    return _two(middle if abs(middle) <= within else math.nan)
