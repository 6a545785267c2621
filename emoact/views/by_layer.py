"""Two models compared at layers of the same relative depth, each measure with its null."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from emoact.measures import Measure
from emoact.models.registry import display_name
from emoact.numbers import plural
from emoact.stats import catalogue
from emoact.stats.across.agreement import MAX_DRAWS
from emoact.stats.across.between import CREDIBLE, RAW_DRAWS
from emoact.stats.across.geometry import HEADLINE
from emoact.stats.settings import AnalysisSettings
from emoact.views import across_answer
from emoact.views.across_answer import Matchings
from emoact.views.analysed import Analysed, measure_help, of, site_words, vector_terms
from emoact.views.chart import (
    BEYOND_ONE,
    Axis,
    Band,
    Chart,
    Dash,
    Key,
    Level,
    Line,
    Panel,
    beyond_one,
    beyond_sentence,
    of_emotion,
    span,
    wrapped,
)
from emoact.views.text import Card, prose
from emoact.views.theme import by_emotion
from emoact.views.view import Choice, Control, Shown, View

ALPHA = 0.05
_NULL = ("null_low", "null_high")
_BETWEEN = " ~ "
"""Cannot be part of a folder's name, so that a pair reads back as its two models."""


WHOLE: Mapping[str, Measure] = {
    name: Measure(name=name, table="similarity", label=label, axis=axis, definition=definition)
    for name, label, axis, definition in (
        ("cka", "CKA (shared prompts)", "unbiased CKA", "Similarity of all prompts' vectors"),
        (
            "cka_within",
            "CKA within classes (shared prompts)",
            "unbiased CKA",
            "The same without class means",
        ),
        (
            "rsa",
            "RSA (shared prompts)",
            "Spearman correlation",
            "Correlation of dissimilarities between prompts",
        ),
    )
}
"""Values of the column `measure` of the table `similarity`: measures of the models as wholes."""


def measures() -> dict[str, Measure]:
    """Every measure of two models by name; those of one emotion's direction come first."""
    return {each.name: each for each in catalogue.labelled("across")} | dict(WHOLE)


class Beside(NamedTuple):
    """A line beside that of a measure. `of_emotion`: in the colour of the emotion."""

    column: str
    words: str
    dash: Dash
    of_emotion: bool = False


LINES: Mapping[str, Mapping[str, Beside]] = {
    HEADLINE: {
        "other": Beside(f"{HEADLINE}_other", "classes matched wrongly", "dot"),
        "words_a": Beside(f"{HEADLINE}_words_a", "first model and random words", "dashdot"),
        "words_b": Beside(f"{HEADLINE}_words_b", "second model and random words", "longdashdot"),
        "partial": Beside(
            f"{HEADLINE}_partial", "without words and length", "dash", of_emotion=True
        ),
    },
    "score_corr": {
        "uncorrected": Beside(
            "score_corr_raw", "before dividing by it (thin)", "solid", of_emotion=True
        ),
        "ceiling": Beside("ceiling", "reliability ceiling", "dot"),
    },
}
"""Lines beside a measure, by the name of their column in the table of the view."""


def pairs(source: Analysed) -> dict[str, tuple[str, str]]:
    """Pairs of models that were compared, by their name in the address."""
    found = source.read("similarity")[["model_a", "model_b"]].drop_duplicates()
    return {f"{a}{_BETWEEN}{b}": (str(a), str(b)) for a, b in found.itertuples(index=False)}


PAIR = Control[Analysed](
    name="pair",
    label="Models",
    kind="select",
    options=lambda source, _: tuple(pairs(source)),
    width=300,
    pinned=True,
)
# Of a name of its own: elsewhere `site` takes several values.
HOOK = Control[Analysed](
    name="hook", label="Site", kind="one", options=lambda source, _: source.sites
)


def measure_control(allowed: Callable[[], Iterable[str]]) -> Control[Analysed]:
    """The picker of the measures with these names."""
    return Control(
        name="measure",
        label="Measure",
        kind="select",
        options=lambda _source, _choice: tuple(allowed()),
        help=lambda _: measure_help(measures()[name] for name in allowed()),
        width=170,
    )


def rows_of(source: Analysed, choice: Choice, table_name: str) -> pd.DataFrame:
    """Rows of the chosen pair and site; none where no two models were compared."""
    a, b = pairs(source).get(choice["pair"], ("", ""))
    return source.rows(table_name, model_a=a, model_b=b, site=choice["hook"])


def table(across: pd.DataFrame, similarity: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One row for each (emotion, layer).

    `low` to `high` is the 95 % interval of the value, NaN where the measure has none; `null_low` to
    `null_high` holds 95 % of its null, which for `score_corr` is that of the uncorrected
    correlation. The columns of `LINES` come last.
    """
    lines = LINES.get(measure, {})
    names = {name: line.column for name, line in lines.items()}
    if measure not in WHOLE:
        rows = across
        names |= {"value": measure, "p": f"{measure}_p", "p_max": f"{measure}_p_max"}
        centre, spread = f"{measure}_null", f"{measure}_null_sd"
    else:
        rows = of(similarity, measure=measure).assign(emotion="")
        names |= {"value": "value", "p": "p", "p_max": "p_max"}
        centre, spread = "null_mean", "null_sd"
    record = measures()[measure]
    for bounds, columns in ((("low", "high"), record.interval), (_NULL, record.null)):
        names |= dict(zip(bounds, columns or (), strict=False))
    drawn = rows[["model_a", "model_b", "site", "emotion", "layer_a", "layer_b"]].copy()
    for name in ("value", "low", "high", *_NULL, "p", "p_max", *lines):
        drawn[name] = rows.get(names.get(name, ""), math.nan)
    if record.null is None and centre in rows:
        reach = 1.96 * rows[spread]
        drawn[_NULL[0]], drawn[_NULL[1]] = rows[centre] - reach, rows[centre] + reach
    return drawn.reset_index(drop=True)


def chart(drawn: pd.DataFrame, measure: str) -> Chart:
    """A panel for each emotion, or one panel where the measure is of the models as wholes."""
    # One such value would flatten every other; the table has it, and the caption says so.
    drawn = drawn.assign(value=drawn["value"].mask(beyond(drawn)))
    shown = ("value", "low", "high", *_NULL, *LINES.get(measure, {}))
    possible = drawn[list(shown)].clip(-1.0, 1.0)
    y = Axis(
        title=measures()[measure].axis_title,
        range=span(*(possible[column] for column in shown), at_least=(0.0, 0.5)),
    )
    crosses = {
        emotion: beyond_one(own["layer_a"], own["value"]) for emotion, own in by_emotion(drawn)
    }
    drawn = drawn.assign(**possible)
    panels = [
        Panel(
            emotions=[emotion] if emotion else [],
            marks=[*_marks(part, measure, emotion), *crosses[emotion]],
            x=Axis(title=f"layer of {display_name(part['model_a'].iloc[0])}", scale="layer"),
            y=y,
        )
        for emotion, part in by_emotion(drawn)
    ]
    rows = wrapped(panels, 3)
    key = _key(drawn, measure) + [BEYOND_ONE] * any(crosses.values())
    return Chart(rows=rows, key=key, heights=[300] * len(rows))


def _marks(part: pd.DataFrame, measure: str, emotion: str) -> list[Band | Level | Line]:
    layers = part["layer_a"]
    colour = of_emotion(emotion) if emotion else "accent"
    marks: list[Band | Level | Line] = [
        Band(x=layers, low=part["null_low"], high=part["null_high"], colour="null"),
        Band(x=layers, low=part["low"], high=part["high"], colour=colour),
        Level(at=0.0, colour="axis", dash="solid"),
    ]
    marks += [
        Line(
            x=layers,
            y=part[name],
            colour=colour if line.of_emotion else "text",
            name=line.words,
            dash=line.dash,
            width=1.3,
            hover="%{y:.3f}",
        )
        for name, line in LINES.get(measure, {}).items()
        if part[name].notna().any()
    ]
    said = (
        "chance %{customdata[2]:.2f} to %{customdata[3]:.2f}"
        if measure == "raw_cos"
        else "corrected p %{customdata[1]:.3f}"
    )
    value = Line(
        x=layers,
        y=part["value"],
        colour=colour,
        name=measures()[measure].label,
        symbol=colour if emotion else "circle",
        filled=_outside(part),
        data=part[["layer_b", "p_max", "null_low", "null_high"]].to_numpy(dtype=float).tolist(),
        hover=f"%{{y:.3f}} (layer %{{customdata[0]}} there, {said})",
    )
    return [*marks, value]


def beyond(drawn: pd.DataFrame) -> Any:
    """True for the rows that are not drawn."""
    return drawn["value"].abs() > CREDIBLE


def _outside(part: pd.DataFrame) -> list[bool]:
    """Layers that stand out: over all layers where there is such a test, else beyond the band."""
    if part["p_max"].notna().any():
        return list((part["p_max"] <= ALPHA).tolist())
    outside = (part["value"] < part["null_low"]) | (part["value"] > part["null_high"])
    return list(outside.tolist())


def _key(drawn: pd.DataFrame, measure: str) -> list[Key]:
    tested = drawn["p_max"].notna().any()
    standing = "corrected p ≤ 0.05" if tested else "outside the chance band"
    key = [
        Key(name=standing, kind="marker", symbol="circle"),
        Key(name="p > 0.05" if tested else "inside it", kind="marker", symbol="circle-open"),
    ]
    key += [
        Key(
            name=line.words,
            kind="line",
            dash=line.dash,
            colour="accent" if line.of_emotion else "text",
        )
        for name, line in LINES.get(measure, {}).items()
        if drawn[name].notna().any()
    ]
    if drawn["low"].notna().any():
        key.append(Key(name="95 % interval", kind="band", colour="accent"))
    if drawn["null_low"].notna().any():
        relabelled = measure in (HEADLINE, "raw_cos")
        words = "relabelled data" if relabelled else "re-paired prompts"
        words += ", uncorrected" if measure == "score_corr" else ""
        key.append(Key(name=f"95 % of {words}", kind="band", colour="null"))
    return key


def draws_words(settings: AnalysisSettings, choice: Choice) -> str:
    """Number and kind of the draws of a measure's null distribution, for a caption."""
    measure = choice.get("measure", HEADLINE)
    if measure == HEADLINE:
        return f"{min(settings.n_permutations, MAX_DRAWS):,} relabellings"
    if measure == "raw_cos":
        return f"{RAW_DRAWS:,} relabellings"
    drawn = settings.n_rotations if measure == "procrustes" else settings.n_pairings
    return f"prompts re-paired {drawn:,} times"


def where(source: Analysed, choice: Choice) -> str:
    """The chosen pair and site, for a caption."""
    models = " and ".join(map(display_name, pairs(source)[choice["pair"]]))
    return f"{models}, {site_words(choice['hook'])}"


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart of one measure."""
    measure = choice["measure"]
    across, similarity = (rows_of(source, choice, name) for name in ("across", "similarity"))
    drawn = table(across, similarity, measure)
    if measure == "raw_cos" and not drawn["value"].notna().any():
        drawn = drawn.iloc[:0]
    title = measures()[measure].label
    prompts = int(similarity["n_prompts"].max()) if len(similarity) else 0
    gaps = (
        f" Values beyond {CREDIBLE:g}, whose ceiling is too low to divide by, are in the table "
        "only."
        if beyond(drawn).any()
        else ""
    ) + beyond_sentence(drawn["value"].mask(beyond(drawn)))
    return Shown(
        table=drawn,
        chart=chart(drawn, measure) if len(drawn) else None,
        caption=f"{title[:1].upper()}{title[1:]} at layers of the same relative depth; "
        f"{where(source, choice)}, {plural(prompts, 'shared prompt')}.{gaps}"
        if len(drawn)
        else "",
        name=f"across-{measure}-{choice['pair'].replace(_BETWEEN, '-')}",
    )


def cards(source: Analysed, choice: Choice) -> list[Card]:
    """One card for each emotion of the chosen pair of models and site."""
    rows = rows_of(source, choice, "across")
    return across_answer.cards(rows, _tried(source, choice, rows)) if len(rows) else []


def _tried(source: Analysed, choice: Choice, across: pd.DataFrame) -> Matchings:
    named = pairs(source)
    return across_answer.matchings(
        across,
        alpha=source.saved.settings.alpha,
        n_classes=source.n_shared_classes(*named[choice["pair"]]),
        n_pairs=len(named),
    )


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Shared emotion, what words alone give, shared prompts, and the negative control."""
    across, similarity = (rows_of(source, choice, name) for name in ("across", "similarity"))
    said = [across_answer.prompts_sentence(across, similarity)]
    if len(across):
        shared = across_answer.geometry_sentences(across, _tried(source, choice, across))
        control = across_answer.control_sentence(across)
        said = [*shared, *said, *([] if control is None else [control])]
    return said


def _raw_refusal(source: Analysed, choice: Choice) -> str:
    found = ", ".join(pairs(source).get(choice["pair"], ()))
    notes = (*source.saved.refusals, *source.saved.findings)
    own = (note for note in notes if note.code == "raw_cosine_refused" and note.where == found)
    return next((str(note.message) for note in own), "")


def empty(source: Analysed, choice: Choice) -> str:
    """The reason why there is nothing to draw."""
    if not pairs(source):
        return "No two models of this analysis could be compared; the reasons are above."
    if choice["measure"] == "raw_cos":
        reason = prose(_raw_refusal(source, choice) or "no raw cosine: the widths differ")
        return f"{reason[:1].upper()}{reason[1:]}. The other measures need no common width."
    return "There is nothing to draw: these models share no emotion."


def terms(source: Analysed, choice: Choice) -> dict[str, str]:
    """Definitions of every measure."""
    return {**vector_terms(source, choice), **across_answer.TERMS}


BY_LAYER = View[Analysed](
    name="by_layer",
    page="across",
    title="Two models by layer",
    question="Do two models arrange the emotions alike, at layers of the same relative depth?",
    controls=(PAIR, HOOK, measure_control(measures)),
    show=show,
    answer=answer,
    terms=terms,
    empty=empty,
)
