"""Held-out accuracy of the probes beside every classifier that sees less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from emoact import sites as known
from emoact.models.registry import display_name
from emoact.views.analysed import MODEL, SITES, Analysed, sites_words, vector_terms
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import (
    COLUMNS,
    Axis,
    Band,
    Chart,
    Key,
    Level,
    Line,
    Panel,
    Points,
    of_emotion,
    span,
)
from emoact.views.direction_answer import separation_answer
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Control, Shown, View

EVALUATIONS: Mapping[str, str] = {
    "cross_validated": "cross-validated",
    "explicit_to_implicit": "explicit → implicit",
}
PROBES: Mapping[str, str] = {
    "logistic": "logistic",
    "lda": "shrinkage LDA",
    "mass_mean": "mass-mean",
}
BASELINES: Mapping[str, str] = {
    "layer_0": "layer 0",
    "char_tfidf": "characters, TF-IDF",
    "tfidf": "words, TF-IDF",
    "bag_of_words": "bag of words",
    "punctuation": "punctuation only",
    "length": "length only",
    "majority": "majority class",
}
"""Classifiers that see less than the model, from top to bottom below the probes."""

CONTROLS: Mapping[str, str] = {
    "contextless": "tokens without context",
    "shuffled_words": "shuffled words",
}
"""Probes of the same words, by site."""

TERMS = {
    "probe": "a linear classifier of emotion against reference on standardised vectors: "
    "L2 logistic, shrinkage LDA, or the mean difference itself (mass-mean).",
    "balanced accuracy": "the mean over both classes of the share of prompts that are classified "
    "correctly; chance is 50 %.",
    "cross-validated": "five folds of scenarios; no scenario is in training and test.",
    "explicit → implicit": "trained on prompts that use a word such as thank, sorry or "
    "furious, tested on prompts that express the same without such a word.",
    "baselines": "the same classifier on features from outside the model: word counts, "
    "TF-IDF of words and of characters, punctuation, length; layer 0 holds token embeddings "
    "and positions, that is, words. *Tokens without context* and *shuffled words* are probes of "
    "the model's own vectors of the same words, each token run alone, or in random order. "
    "Shuffled labels show the accuracy that fitting alone gives "
    "([Hewitt & Liang 1909.03368](https://arxiv.org/abs/1909.03368)).",
    "verdict": "the headline is the median over the middle half of the layers, fixed beforehand. "
    "*Beyond words*: better than the text baseline that is best on the training prompts, than "
    "tokens without context and than shuffled words. *Words suffice*: one of the three is "
    "shown to come within 5 points. Each by paired tests over scenarios, Holm over all verdicts; "
    "otherwise the data are inconclusive, also where the interval of one difference, which is not "
    "corrected, leaves out 0. What is beyond words may be word order, syntax or register.",
}

_PROBE = "probe "
_FIGURES = ["balanced_accuracy", "low", "high", "accuracy"]
_ROW = 23
_PERCENT = "%{x:.1%} (95 % %{customdata[0]:.1%} to %{customdata[1]:.1%})"


def table(
    probes: pd.DataFrame,
    baselines: pd.DataFrame,
    headline: pd.DataFrame,
    *,
    evaluation: str,
    probe: str,
) -> pd.DataFrame:
    """Balanced accuracy of every classifier.

    A row with a layer is the probe at that layer. A row without one is a classifier as a whole: a
    baseline, or the headline probe as the median over its layers. An analysis of an earlier version
    has the share of right decisions in its place. The rows are those of one model, of one of
    `EVALUATIONS` and, layer by layer, of one of `PROBES`.
    """
    columns = ["model", "emotion", "site", "layer", "classifier", *_FIGURES]
    layered = probes[(probes["evaluation"] == evaluation) & (probes["probe"] == probe)]
    layered = _figures(layered, "low", "high").assign(classifier=probe)
    whole = headline[headline["evaluation"] == evaluation]
    whole = _figures(whole, "accuracy_low", "accuracy_high").assign(
        classifier=_PROBE + whole["site"].astype(str), layer=pd.NA
    )
    others = _figures(baselines[baselines["evaluation"] == evaluation], "low", "high")
    place = (" " + others["site"].astype(str)).where(others["site"] != "", "")
    others = others.assign(classifier=others["baseline"] + place, layer=pd.NA)
    frames = [
        layered[[*columns, "shuffled", "n"]],
        whole[columns],
        others[[*columns, "n"]],
    ]
    frames = [frame.astype({"layer": "Int64"}) for frame in frames]
    joined = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    # Without a row of the probe there is no column of its own.
    return joined.reindex(columns=[*columns, "shuffled", "n"])


def _figures(rows: pd.DataFrame, low: str, high: str) -> pd.DataFrame:
    return rows.assign(
        balanced_accuracy=rows["balanced_accuracy"].fillna(rows["accuracy"]),
        low=rows["balanced_low"].fillna(rows[low]),
        high=rows["balanced_high"].fillna(rows[high]),
    )


def classifier_titles(classifiers: Sequence[str]) -> dict[str, str]:
    """Titles of those that were used, the probes of every site first."""
    sites = known.vector_sites()
    probes = {f"{_PROBE}{site}": f"probe, {known.words(site)}" for site in sites}
    controls = {
        f"{name} {site}": f"{title}, {known.words(site)}"
        for name, title in CONTROLS.items()
        for site in sites
    }
    found, every = set(classifiers), {**probes, **controls, **BASELINES}
    return {name: title for name, title in every.items() if name in found}


def chart(drawn: pd.DataFrame) -> Chart:
    """Balanced accuracy by layer, and below of every classifier; a column for each emotion."""
    by_layer, whole = drawn[drawn["layer"].notna()], drawn[drawn["layer"].isna()]
    titles = classifier_titles(whole["classifier"].tolist())
    accuracy = Axis(
        title="held-out balanced accuracy",
        format=".0%",
        range=span(
            *(drawn[c] for c in ("balanced_accuracy", "low", "high", "shuffled")),
            at_least=(0.5, 1.0),
        ),
    )
    emotions = emotion_order(drawn["emotion"])
    rows: list[list[Panel]] = []
    heights: list[int] = []
    for start in range(0, len(emotions), COLUMNS):
        chunk = emotions[start : start + COLUMNS]
        for site in known.in_order(by_layer["site"]):
            own = by_layer[by_layer["site"] == site]
            rows.append([_by_layer(own, whole, each, site, accuracy) for each in chunk])
            heights.append(220)
        if titles:
            rows.append([_whole(whole, each, titles, accuracy) for each in chunk])
            heights.append(_ROW * len(titles) + 24)
    key = [
        Key(name="probe", kind="line", symbol="circle"),
        Key(name="95 % interval", kind="band", colour="null"),
        Key(name="best baseline or control", kind="line", dash="dash"),
        Key(name="chance", kind="line", colour="muted", dash="dot"),
    ]
    if drawn["shuffled"].notna().any():
        key.append(Key(name="probe on shuffled labels", kind="line", colour="muted"))
    return Chart(rows=rows, key=key, heights=heights)


def _by_layer(rows: pd.DataFrame, whole: pd.DataFrame, emotion: str, site: str, y: Axis) -> Panel:
    part = rows[rows["emotion"] == emotion].sort_values("layer")
    layers = [int(layer) for layer in part["layer"]]
    others = whole[whole["emotion"] == emotion]
    is_probe = others["classifier"].str.startswith(_PROBE)
    words = others[~is_probe & (others["classifier"] != "majority")]["balanced_accuracy"]
    colour = of_emotion(emotion)
    return Panel(
        emotions=[emotion],
        title=known.title(site),
        marks=[
            Band(x=layers, low=part["low"], high=part["high"], colour=colour),
            Line(
                x=layers,
                y=part["shuffled"],
                colour="muted",
                name="shuffled labels",
                width=1.2,
                hover="%{y:.1%}",
            ),
            Level(at=0.5),
            *([Level(at=float(words.max()), colour="text", dash="dash")] if len(words) else []),
            Line(
                x=layers,
                y=part["balanced_accuracy"],
                colour=colour,
                name="probe",
                symbol=colour,
                dash=known.site(site).dash,
                data=part[["low", "high"]].to_numpy(dtype=float).tolist(),
                hover=_PERCENT.replace("%{x", "%{y"),
            ),
        ],
        x=Axis(title="layer", scale="layer"),
        y=y,
    )


def _whole(whole: pd.DataFrame, emotion: str, titles: Mapping[str, str], x: Axis) -> Panel:
    part = whole[whole["emotion"] == emotion].set_index("classifier")
    marks = []
    for probes in (True, False):
        own = [n for n in titles if n in part.index and n.startswith(_PROBE) == probes]
        values, bounds = part.loc[own, "balanced_accuracy"], part.loc[own, ["low", "high"]]
        if own:
            colour = of_emotion(emotion) if probes else "muted"
            marks.append(
                Points(
                    x=values.tolist(),
                    y=[titles[name] for name in own],
                    colour=colour,
                    name=emotion,
                    symbol=colour if probes else "circle",
                    size=10 if probes else 8,
                    filled=probes,
                    error=list(bounds.itertuples(index=False, name=None)),
                    data=bounds.to_numpy(dtype=float).tolist(),
                    hover=f"%{{y}}: {_PERCENT}",
                    opacity=1.0,
                )
            )
    y = Axis(scale="category", categories=list(titles.values()))
    return Panel(emotions=[emotion], title="middle half of layers", marks=marks, x=x, y=y)


def evaluations(source: Analysed, _: Choice) -> list[str]:
    """Evaluations that the data allow."""
    known = set(source.read("probes")["evaluation"])
    return [name for name in EVALUATIONS if name in known]


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart of one evaluation and probe."""
    evaluation, probe = choice["evaluation"], choice["probe"]
    drawn = table(
        source.of_choice("probes", choice),
        source.rows("baselines", model=choice["model"]),
        source.of_choice("headline", choice),
        evaluation=evaluation,
        probe=probe,
    )
    return Shown(
        table=drawn,
        chart=chart(drawn) if len(drawn) else None,
        caption=f"Held-out balanced accuracy of the {PROBES[probe]} probe "
        f"({EVALUATIONS.get(evaluation, '')}) beside classifiers that see less; below, the "
        f"median over the middle half of the layers; "
        f"{display_name(choice['model'])}, {sites_words(choice)}.",
        name=f"separation-{evaluation}-{probe}-{choice['model']}",
    )


SEPARATION = View[Analysed](
    name="separation",
    page="directions",
    title="Separation beyond words",
    question="Does a probe of the activations do better than classifiers that see words only?",
    controls=(
        MODEL,
        BESIDE,
        SITES,
        Control(
            name="evaluation",
            label="Evaluation",
            kind="one",
            options=evaluations,
            help="cross_validated: five folds of scenarios. explicit_to_implicit: trained on "
            "prompts that use a word of emotion, tested on prompts that use none.",
        ),
        Control(
            name="probe",
            label="Probe",
            kind="select",
            options=lambda source, _: [p for p in PROBES if p in source.saved.settings.probes],
            width=150,
        ),
    ),
    show=of_both(show),
    answer=said_of_both(separation_answer),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    empty="There is nothing to draw: no prompt can be held out in these data.",
)
