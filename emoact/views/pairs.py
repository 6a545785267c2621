"""Held-out accuracy of probes that tell one emotion from another."""

from __future__ import annotations

import pandas as pd

from emoact import sites as known
from emoact.analysis.sentences import pair_sentences
from emoact.models.registry import display_name
from emoact.views.analysed import MODEL, SITES, Analysed, sites_words, vector_terms
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.chart import Axis, Chart, Key, Panel, Points, span, wrapped
from emoact.views.separation import EVALUATIONS, TERMS, evaluations
from emoact.views.text import md
from emoact.views.view import Choice, Control, Shown, View

_COLUMNS = [
    "model",
    "site",
    "emotion_a",
    "emotion_b",
    "balanced_accuracy",
    "balanced_low",
    "balanced_high",
    "balanced_min",
    "balanced_max",
    "called",
    "auroc",
    "auroc_low",
    "auroc_high",
    "p_order",
    "p_holm",
    "p_permutation",
    "verdict",
    "layer_first",
    "layer_last",
    "n_prompts",
    "n_scenarios",
]
_ROW, _HEAD = 30, 60


def table(rows: pd.DataFrame, evaluation: str) -> pd.DataFrame:
    """One row for each (site, two emotions)."""
    return rows[rows["evaluation"] == evaluation][_COLUMNS].reset_index(drop=True)


def chart(drawn: pd.DataFrame) -> Chart:
    """A point with its interval for every two emotions; a panel for each site."""
    labels = (drawn["emotion_a"] + " – " + drawn["emotion_b"]).rename("label")
    accuracy = Axis(
        title="held-out balanced accuracy",
        format=".0%",
        range=span(
            *(drawn[name] for name in ("balanced_low", "balanced_high")), at_least=(0.4, 1.0)
        ),
    )
    order = list(dict.fromkeys(labels))
    panels = []
    for site in known.in_order(drawn["site"]):
        own = drawn[drawn["site"] == site]
        bounds = own[["balanced_low", "balanced_high"]]
        points = Points(
            x=own["balanced_accuracy"].tolist(),
            y=labels[own.index].tolist(),
            colour="text",
            name=known.words(site),
            size=9,
            error=list(bounds.itertuples(index=False, name=None)),
            data=bounds.to_numpy(dtype=float).tolist(),
            hover="%{y}: %{x:.1%} (95 % %{customdata[0]:.1%} to %{customdata[1]:.1%})",
            opacity=1.0,
        )
        panels.append(
            Panel(
                title=known.title(site),
                marks=[points],
                x=accuracy,
                y=Axis(scale="category", categories=order),
            )
        )
    rows = wrapped(panels)
    key = [Key(name="95 % interval over scenarios", kind="line", colour="text")]
    return Chart(rows=rows, key=key, heights=[_ROW * len(order) + _HEAD] * len(rows))


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart of one evaluation."""
    evaluation = choice["evaluation"]
    drawn = table(source.of_choice("pairs", choice), evaluation)
    return Shown(
        table=drawn,
        chart=chart(drawn) if len(drawn) else None,
        caption="Held-out balanced accuracy of emotion against emotion "
        f"({EVALUATIONS.get(evaluation, '')}), the median over the middle half of the layers; "
        f"chance is 50 %; {display_name(choice['model'])}, {sites_words(choice)}.",
        name=f"pairs-{evaluation}-{choice['model']}",
    )


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """One sentence for each site, of the chosen evaluation."""
    rows = source.of_choice("pairs", choice).to_dict("records")
    return pair_sentences(rows, md, choice["evaluation"])


PAIRS = View[Analysed](
    name="pairs",
    page="directions",
    title="Emotion against emotion",
    question="Does a probe of the activations tell one emotion from another?",
    controls=(
        MODEL,
        BESIDE,
        SITES,
        Control(name="evaluation", label="Evaluation", kind="one", options=evaluations),
    ),
    show=of_both(show),
    answer=said_of_both(answer),
    terms=lambda source, choice: {
        **vector_terms(source, choice),
        "balanced accuracy": TERMS["balanced accuracy"],
        "why": "every emotion differs from the neutral prompts in register, too; between two "
        "emotions the part of it that both share is gone. They may still differ in words.",
    },
    empty="There is nothing to draw: the analysis has no two emotions.",
)
