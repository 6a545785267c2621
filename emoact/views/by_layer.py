"""Two models compared at layers of the same relative depth, each measure with its null."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from emoact.measures import Measure
from emoact.numbers import plural
from emoact.stats import catalogue
from emoact.stats.across.between import CREDIBLE
from emoact.views.analysed import (
    Analysed,
    by_emotion,
    measure_help,
    of,
    site_words,
    two,
    vector_terms,
)
from emoact.views.chart import (
    Axis,
    Band,
    Chart,
    Key,
    Level,
    Line,
    Panel,
    of_emotion,
    span,
    wrapped,
)
from emoact.views.text import listed, md, mono, prose
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Control, Shown, View

ALPHA = 0.05
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


TERMS = {
    "score_corr": "Spearman correlation of the two models' held-out projections of the same "
    r"prompts, class labels partialled out, divided by $\sqrt{rel_A\,rel_B}$, the reliability "
    "ceiling. The thin line is before dividing, the dotted line the ceiling. Not clipped: beyond "
    "1.5 the ceiling is too low to divide by, and the value is in the table only. Its null pairs "
    "prompts at random within classes.",
    "procrustes": "principal components (at most 50) and a rotation fitted on training prompts, "
    r"then $\cos(R d_A, d_B)$ on the others. Its null re-pairs prompts within classes.",
    "cka": "linear CKA with the unbiased HSIC estimator ([Kornblith et al. "
    "1905.00414](https://arxiv.org/abs/1905.00414); [Nguyen et al. "
    "2010.15327](https://arxiv.org/abs/2010.15327)); the biased one gives .79 for independent "
    "noise of 200 prompts. `cka_within` removes class means first.",
    "rsa": "Spearman correlation of the two models' dissimilarities between prompts (Kriegeskorte "
    "2008).",
    "raw_cos": "the plan's cosine between the directions of two models; a negative control without "
    "a common basis, and only where d_model is equal. The grey band holds 95 % under shuffled "
    "labels; isotropic noise would give the narrower $1.96/\\sqrt{d}$.",
    "matched layers": "layer *l* of the first model is compared with the layer of the second at "
    "the same relative depth.",
}


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

    Columns that a measure lacks are NaN. `null_low` to `null_high` holds 95 % of its null, which
    for `score_corr` is that of the uncorrected correlation.

    Args:
        across: Rows of the table of one pair and site.
        similarity: Likewise.
        measure: Key of `measures`.
    """
    names = (
        {"uncorrected": "score_corr_raw", "ceiling": "ceiling"} if measure == "score_corr" else {}
    )
    if measure not in WHOLE:
        rows = across
        names |= {"value": measure, "p": f"{measure}_p", "p_max": f"{measure}_p_max"}
        centre, spread = f"{measure}_null", f"{measure}_null_sd"
    else:
        rows = of(similarity, measure=measure).assign(emotion="")
        names |= {"value": "value", "p": "p", "p_max": "p_max"}
        centre, spread = "null_mean", "null_sd"
    known = rows.rename(columns={column: name for name, column in names.items()})
    band = measures()[measure].null
    if band is not None:
        known = known.rename(columns=dict(zip(band, ("null_low", "null_high"), strict=True)))
    elif centre in rows:
        reach = 1.96 * rows[spread]
        known = known.assign(null_low=rows[centre] - reach, null_high=rows[centre] + reach)
    columns = [
        *("model_a", "model_b", "site", "emotion", "layer_a", "layer_b", "value", "uncorrected"),
        *("ceiling", "null_low", "null_high", "p", "p_max"),
    ]
    drawn = known.reindex(columns=columns)
    if measure != "score_corr":
        drawn[["uncorrected", "ceiling"]] = math.nan
    return drawn.reset_index(drop=True)


def chart(drawn: pd.DataFrame, measure: str) -> Chart:
    """A panel for each emotion, or one panel where the measure is of the models as wholes.

    Args:
        drawn: From `table`.
        measure: The same.
    """
    # One such value would flatten every other; the table has it, and the caption says so.
    drawn = drawn.assign(value=drawn["value"].mask(beyond(drawn)))
    y = Axis(
        title=measures()[measure].axis_title,
        range=span(
            *(drawn[c] for c in ("value", "uncorrected", "ceiling", "null_low", "null_high")),
            at_least=(0.0, 0.5),
        ),
    )
    panels = [
        Panel(
            emotions=[emotion] if emotion else [],
            marks=_marks(part, measure, emotion),
            x=Axis(title=f"layer of {part['model_a'].iloc[0]}", scale="layer"),
            y=y,
        )
        for emotion, part in by_emotion(drawn)
    ]
    rows = wrapped(panels, 3)
    return Chart(rows=rows, key=_key(drawn, measure), heights=[300] * len(rows))


def _marks(part: pd.DataFrame, measure: str, emotion: str) -> list[Band | Level | Line]:
    layers = part["layer_a"]
    colour = of_emotion(emotion) if emotion else "accent"
    marks: list[Band | Level | Line] = [
        Band(x=layers, low=part["null_low"], high=part["null_high"], colour="null"),
        Level(at=0.0, colour="axis", dash="solid"),
    ]
    if part["ceiling"].notna().any():
        marks += [
            Line(
                x=layers,
                y=part["ceiling"],
                colour="text",
                name="ceiling",
                dash="dot",
                width=1.4,
                hover="%{y:.3f}",
            ),
            Line(
                x=layers,
                y=part["uncorrected"],
                colour=colour,
                name="uncorrected",
                width=1.2,
                hover="%{y:.3f}",
            ),
        ]
    said = (
        "chance %{customdata[2]:.2f} to %{customdata[3]:.2f}"
        if measure == "raw_cos"
        else "p over layers %{customdata[1]:.3f}"
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
    standing = "p ≤ .05 over all layers" if tested else "outside the chance band"
    key = [
        Key(name=standing, kind="marker", symbol="circle"),
        Key(name="p > .05" if tested else "inside it", kind="marker", symbol="circle-open"),
    ]
    if drawn["ceiling"].notna().any():
        key += [
            Key(name="reliability ceiling", kind="line", dash="dot"),
            Key(name="before dividing by it (thin)", kind="line", colour="muted"),
        ]
    if drawn["null_low"].notna().any():
        words = "relabelled data" if measure == "raw_cos" else "re-paired prompts"
        words += ", uncorrected" if measure == "score_corr" else ""
        key.append(Key(name=f"95 % of {words}", kind="band", colour="null"))
    return key


def where(source: Analysed, choice: Choice) -> str:
    """The chosen pair and site, for a caption."""
    return f"{' and '.join(pairs(source)[choice['pair']])}, {site_words(choice['hook'])}"


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
    )
    return Shown(
        table=drawn,
        chart=chart(drawn, measure) if len(drawn) else None,
        caption=f"{title[:1].upper()}{title[1:]} at layers of the same relative depth; "
        f"{where(source, choice)}, {plural(prompts, 'shared prompt')}.{gaps}"
        if len(drawn)
        else "",
        name=f"across-{measure}-{choice['pair'].replace(_BETWEEN, '-')}",
    )


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Score correlation, the models as wholes, and the negative control."""
    across, similarity = (rows_of(source, choice, name) for name in ("across", "similarity"))
    said = [similarity_sentence(similarity)]
    if len(across):
        refused = _raw_refusal(source, choice)
        said = [scores_sentence(across), *said, control_sentence(across, refused)]
    return said


def scores_sentence(across: pd.DataFrame) -> str:
    """Agreement of two models on the order of the same prompts along an emotion.

    Args:
        across: Rows of one pair of models and one site.
    """
    parts = []
    for emotion in emotion_order(across["emotion"]):
        rows = across[across["emotion"] == emotion]
        tested = rows["score_corr_p_max"].dropna()
        parts.append(
            f"{md(emotion)} {_corrected(rows['score_corr'].median())} "
            f"({two(rows['score_corr_raw'].median())} before correction, beyond re-paired prompts "
            f"at {int((tested <= ALPHA).sum())} of {len(tested)} layers)"
        )
    first, second = (mono(str(across[name].iloc[0])) for name in ("model_a", "model_b"))
    site = site_words(str(across["site"].iloc[0]))
    return (
        f"**{first} and {second}, {site}:** median score correlation over matched layers, "
        f"corrected for reliability where it is known: {listed(parts)}."
    )


def similarity_sentence(similarity: pd.DataFrame) -> str:
    """The models as wholes, before and after the class means are removed."""
    medians = similarity.groupby("measure")["value"].median()
    if not len(medians) or "cka" not in medians:
        return ""
    return (
        f"As wholes they share {two(medians['cka'])} unbiased CKA, "
        f"{two(medians.get('cka_within', math.nan))} once class means are removed, and "
        f"{two(medians.get('rsa', math.nan))} RSA (medians)."
    )


def control_sentence(across: pd.DataFrame, reason: str = "") -> str:
    """The plan's raw cosine as a negative control.

    Args:
        across: Rows of one pair of models and one site.
        reason: Why there is no raw cosine, if there is none.
    """
    known = across[across["raw_cos"].notna()]
    if not len(known):
        why = reason or "the models have different widths"
        return f"The plan's raw cosine is refused: {md(why)}."
    inside = known["raw_cos"].between(known["raw_low"], known["raw_high"])
    return (
        "The plan's raw cosine is a negative control, because the models have no basis in common: "
        f"{int(inside.sum())} of {len(known)} values lie inside the chance band "
        f"(largest {known['raw_cos'].abs().max():.2f})."
    )


def _corrected(median: float) -> str:
    return "no value, its reliability is near 0" if abs(median) > CREDIBLE else two(median)


def _raw_refusal(source: Analysed, choice: Choice) -> str:
    found = ", ".join(pairs(source).get(choice["pair"], ()))
    for finding in (*source.saved.refusals, *source.saved.findings):
        if finding.code == "raw_cosine_refused" and finding.where == found:
            return str(finding.message)
    return ""


def empty(source: Analysed, choice: Choice) -> str:
    """The reason why there is nothing to draw."""
    if not pairs(source):
        return "No two models of this analysis could be compared; the reasons are above."
    if choice["measure"] == "raw_cos":
        reason = _raw_refusal(source, choice) or "their widths differ"
        return f"There is no raw cosine of these two: {prose(reason)}."
    return "There is nothing to draw: these models share no emotion."


def terms(source: Analysed, choice: Choice) -> dict[str, str]:
    """Definitions of every measure."""
    return {**vector_terms(source, choice), **TERMS}


BY_LAYER = View[Analysed](
    name="by_layer",
    page="across",
    title="Two models by layer",
    question="Do two models treat the same prompts alike, at layers of the same relative depth?",
    controls=(PAIR, HOOK, measure_control(measures)),
    show=show,
    answer=answer,
    terms=terms,
    empty=empty,
)
