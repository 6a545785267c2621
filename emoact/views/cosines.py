"""Cosines between the directions of two emotions, by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from emoact import sites as known
from emoact.analysis.sentences import p_text
from emoact.models.registry import display_name
from emoact.numbers import percent, plural, two
from emoact.views.analysed import MODEL, SITES, Analysed, of, site_words, sites_words, vector_terms
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import (
    BEYOND_ONE,
    Axis,
    Band,
    Chart,
    Key,
    Level,
    Line,
    Mark,
    Panel,
    beyond_one,
    beyond_sentence,
    span,
    wrapped,
)
from emoact.views.direction_answer import VERDICTS
from emoact.views.text import Card, md
from emoact.views.theme import emotion_order
from emoact.views.view import Carded, Caution, Choice, Control, Shown, View

COSINE_MEASURES: Mapping[str, str] = {
    "cosine": "cosine",
    "zscored": "z-scored twin",
    "top_share": "share of the top 3 dimensions",
}

TERMS = {
    "plain": r"$\cos(d_a, d_b)$ of the plain directions. Both subtract the same neutral mean, so "
    r"two directions of noise have $(1/n_0)/\sqrt{(1/n_a+1/n_0)(1/n_b+1/n_0)}$, +0.5 for equal "
    "classes: the dotted line.",
    "null band": "95 % of the plain cosine when the labels of the two emotions and of neutral are "
    r"shuffled within scenarios. It is far wider than $1.96/\sqrt d$, because the spectrum of "
    "activations is steep "
    "([Ethayarajh 1909.00512](https://aclanthology.org/D19-1006/)).",
    "cross-validated": "every product is one of two different scenarios, so that neither shared "
    "noise nor shared neutral inflates it. Shown only at layers where both directions are "
    "significant, both squares are more than 1.96 standard errors above 0 (Fieller 1954) and its "
    "own standard error is at most 0.5: a cosine of two weak directions is selected noise. Noise "
    "may carry it beyond 1: a cross at 1, the value in the table. The band is "
    "± 1.96 jackknife standard errors (Walther et al. 2016).",
    "z-scored twin": "the same with every dimension divided by its standard deviation over all "
    "prompts. Where it differs by more than 0.2, few dimensions determine the cosine: open "
    "markers.",
    "top 3 dimensions": r"share of $\sum_i |a_i b_i|$ that the three largest terms carry; rogue "
    "dimensions ([Timkey & van Schijndel 2109.04404](https://arxiv.org/abs/2109.04404)).",
}


SELDOM = 0.25
"""Share of layers with a cosine up to which those that are shown may be too large."""

SELECTED = (
    "Where at most a quarter of the layers show a cosine, chance may have chosen them: those of "
    "weak directions are then too large, by .1 to .4 in planted data"
)


def too_large(rows: pd.DataFrame) -> bool:
    """True where so few layers of a pair pass the rule that chance may have chosen them."""
    return bool(rows["cv_cosine"].notna().mean() <= SELDOM)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each (pair, site, layer) of the table `distances` of one model."""
    columns = [
        "model",
        "emotion_a",
        "emotion_b",
        "site",
        "layer",
        "cv_cosine",
        "cv_se",
        "cv_status",
        "cosine",
        "expectation",
        "null_mean",
        "null_low",
        "null_high",
        "cv_zscored",
        "zscored",
        "top_share",
        "twin_differs",
    ]
    return rows[columns].reset_index(drop=True)


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of emotions as the table has them, in the order of every page."""
    order = emotion_order([*rows["emotion_a"], *rows["emotion_b"]])
    found = dict.fromkeys(zip(rows["emotion_a"], rows["emotion_b"], strict=True))
    return sorted(found, key=lambda pair: sorted(map(order.index, pair)))


def chart(drawn: pd.DataFrame, measure: str) -> Chart:
    """A row of panels for each site, a panel for each pair of emotions."""
    share = measure == "top_share"
    validated = "cv_cosine" if measure == "cosine" else "cv_zscored"
    crosses = False
    y = Axis(
        title="share" if share else "cosine",
        format=".0%" if share else "",
        range=_reach(drawn, measure),
    )
    rows: list[list[Panel]] = []
    for site in known.in_order(drawn["site"]):
        own = drawn[drawn["site"] == site]
        panels = []
        for a, b in pairs(own):
            part = own[(own["emotion_a"] == a) & (own["emotion_b"] == b)].sort_values("layer")
            marks = _marks(part, measure, site)
            if not share:
                marks += beyond_one(part["layer"], part[validated])
                crosses |= bool((part[validated].abs() > 1).any())
            panels.append(
                Panel(
                    emotions=emotion_order([a, b]),
                    title=known.title(site),
                    marks=marks,
                    x=Axis(title="layer", scale="layer"),
                    y=y,
                )
            )
        rows += wrapped(panels, 3)
    return Chart(rows=rows, key=_key(measure, drawn) + [BEYOND_ONE] * crosses)


def _reach(drawn: pd.DataFrame, measure: str) -> tuple[float, float]:
    if measure == "top_share":
        return span(drawn["top_share"], at_least=(0.0, 0.2))
    names = (
        ("cv_zscored", "zscored")
        if measure == "zscored"
        else ("cv_cosine", "cosine", "null_low", "null_high")
    )
    return span(*(drawn[name].clip(-1.0, 1.0) for name in names), at_least=(0.0, 1.0))


def _marks(part: pd.DataFrame, measure: str, site: str) -> list[Mark]:
    layers, dash = part["layer"], known.site(site).dash
    if measure == "top_share":
        share = Line(
            x=layers,
            y=part["top_share"],
            colour="accent",
            name="top 3 dimensions",
            dash=dash,
            symbol="circle",
            hover="%{y:.1%}",
        )
        return [share]
    both = measure == "cosine"
    validated = "cv_cosine" if both else "cv_zscored"
    marks: list[Mark] = [Level(at=0.0, colour="axis", dash="solid")]
    if both:
        error = 1.96 * part["cv_se"]
        centre = part[validated]
        marks += [
            Band(x=layers, low=part["null_low"], high=part["null_high"], colour="null"),
            Level(at=float(part["expectation"].iloc[0]), colour="text"),
            Band(
                x=layers,
                low=(centre - error).clip(-1.0, 1.0),
                high=(centre + error).clip(-1.0, 1.0),
                colour="accent",
            ),
        ]
    return [
        *marks,
        Line(
            x=layers,
            y=part["cosine" if both else "zscored"],
            colour="muted",
            name="plain",
            width=1.4,
            data=part[["null_low", "null_high"]].to_numpy(dtype=float).tolist(),
            hover="%{y:.3f}" + both * " (null %{customdata[0]:.2f} to %{customdata[1]:.2f})",
        ),
        Line(
            x=layers,
            y=part[validated].clip(-1.0, 1.0),
            colour="accent",
            name="cross-validated",
            dash=dash,
            symbol="circle",
            # Open where three dimensions determine the cosine and not the whole vector.
            filled=[not differs for differs in part["twin_differs"]],
            data=part[["cv_se", "top_share"]].to_numpy(dtype=float).tolist(),
            hover="%{y:.3f}"
            + both * " ± %{customdata[0]:.3f} (top 3 dimensions %{customdata[1]:.0%})",
        ),
    ]


def _key(measure: str, drawn: pd.DataFrame) -> list[Key]:
    if measure == "top_share":
        return []
    key = [
        Key(name="cross-validated", kind="line", colour="accent", symbol="circle"),
        Key(name="plain", kind="line", colour="muted"),
    ]
    if measure == "cosine":
        key += [
            Key(name="95 % of relabelled data (plain)", kind="band", colour="null"),
            Key(name="plain cosine of noise", kind="line", dash="dot"),
        ]
    if drawn["twin_differs"].any():
        key.append(Key(name="z-scored twin differs by > 0.2", kind="marker", symbol="circle-open"))
    return key


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart of one measure."""
    drawn = table(source.of_choice("distances", choice))
    measure = choice["measure"]
    validated = {"cosine": "cv_cosine", "zscored": "cv_zscored"}.get(measure)
    beyond = beyond_sentence(drawn[validated]) if validated else ""
    return Shown(
        table=drawn,
        chart=chart(drawn, measure) if len(drawn) else None,
        caption=f"Pairs of emotions by layer: {COSINE_MEASURES[measure]}; "
        f"{display_name(choice['model'])}, "
        f"{sites_words(choice)}.{beyond}",
        of_values=beyond,
        name=f"distances-{measure}-{choice['model']}",
    )


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Cross-validated cosines, the plain ones against noise, and where few dimensions decide."""
    rows = source.rows("distances", model=choice["model"], site=choice["site"][0])
    if not len(rows):
        return []
    lead = Carded(f"Each two emotions in the {site_words(choice['site'][0])}:")
    said = [Carded(card.sentence) for card in cards(source, choice)]
    return [lead, *said, null_sentence(rows), twin_sentence(rows)]


def cards(source: Analysed, choice: Choice) -> list[Card]:
    """One card for each two emotions, of the chosen model and the first chosen site."""
    where = {"model": choice["model"], "site": choice["site"][0]}
    rows = source.rows("distances", **where)
    told = {
        frozenset((row["emotion_a"], row["emotion_b"])): row
        for row in source.rows("pairs", evaluation="cross_validated", **where).to_dict("records")
    }
    return [
        _pair([a, b], of(rows, emotion_a=a, emotion_b=b), told.get(frozenset((a, b)), {}))
        for a, b in pairs(rows)
    ]


def _pair(emotions: list[str], rows: pd.DataFrame, told: Mapping[Any, Any]) -> Card:
    """Card of two emotions; `told` is their row of the table `pairs`, or empty."""
    lines = []
    if math.isfinite(told.get("balanced_accuracy", math.nan)):
        lines.append(
            f"Probe of one against the other: balanced accuracy "
            f"{percent(told['balanced_accuracy'])} [{percent(told['balanced_low'])}, "
            f"{percent(told['balanced_high'])}], permutation {p_text(told['p_permutation'])}."
        )
    known = rows[rows["cv_cosine"].notna()]
    if len(known):
        reach, value = 1.96 * known["cv_se"], known["cv_cosine"]
        below, above = int((value + reach < 1).sum()), int((value - reach > 0).sum())
        lines.append(
            f"Cross-validated cosine **{two(value.median())}** (median; {two(value.min())} to "
            f"{two(value.max())}) at the {len(known)} of {plural(len(rows), 'layer')} where "
            "both directions are significant and clear of 0; its 95 % interval lies below 1 at "
            f"{below} and above 0 at {above} of them." + too_large(rows) * f" {SELECTED}."
        )
    else:
        lines.append(
            "No cosine: at no layer are both directions significant and far enough from 0 for it "
            "to have an interval."
        )
    plain = rows[rows["null_low"].notna()]
    outside = int((~plain["cosine"].between(plain["null_low"], plain["null_high"])).sum())
    few = int(rows["twin_differs"].astype(bool).sum())
    lines.append(
        f"Plain cosine outside of relabelled data at {outside} of {plural(len(plain), 'layer')}"
        + (f"; few dimensions decide it at {few}." if few else ".")
    )
    verdict = str(told.get("verdict", "not tested"))
    return Card(
        title=" – ".join(emotion_order(emotions)),
        verdict=VERDICTS.get(verdict, verdict),
        shown=verdict == "separated",
        lines=tuple(lines),
    )


def null_sentence(distances: pd.DataFrame) -> str:
    """Number of plain cosines outside the band of relabelled data, and the cosine of noise."""
    finite = distances[distances["null_low"].notna() & distances["cosine"].notna()]
    if not len(finite):
        expected = distances["expectation"].iloc[0]
        return f"Measured from the grand mean, the plain cosine of noise is {two(expected)}."
    above = int((finite["cosine"] > finite["null_high"]).sum())
    below = int((finite["cosine"] < finite["null_low"]).sum())
    return (
        f"Plain cosines of pure noise are about {two(finite['expectation'].iloc[0])}, because all "
        f"emotions subtract one neutral mean. {above} of {len(finite)} plain values lie above the "
        f"band of relabelled data and {below} below it; chance gives 2.5 % on either side, and "
        "neighbouring layers are alike."
    )


def twin_sentence(distances: pd.DataFrame) -> str:
    """A warning where three dimensions determine the cosine; empty without one."""
    differing = distances[distances["twin_differs"].astype(bool)]
    if not len(differing):
        return ""
    row = differing.loc[differing["top_share"].idxmax()]
    drawn = int(differing["cv_cosine"].notna().sum())
    marked = f"open markers at the {drawn} with a cross-validated cosine" if drawn else "no marker"
    return Caution(
        f"In {plural(len(differing), 'cell')} of {len(distances)} (pairs and layers) the z-scored "
        f"twin differs by more than 0.2 ({marked}). Three dimensions carry up to "
        f"{percent(row['top_share'])} of the cosine there (layer {int(row['layer'])}, "
        f"{'–'.join(map(md, emotion_order([row['emotion_a'], row['emotion_b']])))}), so neither "
        "value should be used without the other."
    )


EMPTY = "There is nothing to draw: a distance needs two emotions beside the reference."

COSINES = View[Analysed](
    name="cosines",
    page="distances",
    title="Cosines between emotions",
    question="How similar are the directions of two emotions at each layer?",
    controls=(
        MODEL,
        BESIDE,
        SITES,
        Control(
            name="measure",
            label="Measure",
            kind="one",
            options=lambda _source, _choice: tuple(COSINE_MEASURES),
            help="  \n".join(f"`{key}`: {words}" for key, words in COSINE_MEASURES.items()),
        ),
    ),
    show=of_both(show),
    answer=said_of_both(answer),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    empty=EMPTY,
    in_report=lambda source: [
        {"model": model, "site": source.sites[:1], "measure": "cosine"}
        for model in source.saved.models
    ],
)
