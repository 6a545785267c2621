"""Directions and probes of an analysis, tested on the data set of another results folder."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emoact.analysis.transfer import Transferred, TransferRequest, compute_transfer
from emoact.errors import EmoactError, RequestError
from emoact.models.registry import display_name
from emoact.numbers import plural, signed, two
from emoact.stats.probes.accuracy import MIN_UNITS
from emoact.views.analysed import MODEL, Analysed, site_words, vector_terms
from emoact.views.beside import BESIDE, of_both, said_of_both
from emoact.views.by_layer import HOOK
from emoact.views.chart import Axis, Chart, Key, Panel, Points, of_emotion, span, wrapped
from emoact.views.text import listed, md, mono, prose
from emoact.views.theme import by_emotion
from emoact.views.view import Caution, Choice, Control, Remark, Shown, View

CLASSIFIERS: Mapping[str, str] = {
    "mass_mean": "direction",
    "lda": "LDA probe",
    "logistic": "logistic probe",
    "layer_0": "layer 0",
    "tfidf": "words, TF-IDF",
    "char_tfidf": "characters, TF-IDF",
    "bag_of_words": "bag of words",
    "length": "length",
}
"""Classifiers from top to bottom."""

_PROBES = ("mass_mean", "lda", "logistic")
TERMS = {
    "direction": "the mean difference on standardised vectors; the sign of (x - midpoint)·d "
    "decides.",
    "balanced accuracy": "mean over emotion and neutral of the share of right decisions; 0.5 is "
    "chance. Of a probe the median over the middle half of the layers, which is fixed beforehand.",
    "interval": "95 % bootstrap over scenarios (prompts, where there are none) of the second data "
    "set. The training prompts are taken as given, and nothing is corrected for several emotions. "
    "Tokens without context and shuffled words are not compared.",
    "baseline": "a classifier of the texts, trained on the first data set. The one that is best by "
    "cross-validation within the first data set is compared with the probes.",
}


def chart(drawn: pd.DataFrame) -> Chart:
    """Balanced accuracy of every classifier with its interval; a panel for each emotion."""
    titles = [title for name, title in CLASSIFIERS.items() if name in set(drawn["classifier"])]
    x = Axis(
        title="balanced accuracy",
        format=".0%",
        range=span(drawn["balanced_low"], drawn["balanced_high"], at_least=(0.5, 1.0)),
    )
    panels = [
        Panel(
            emotions=[emotion],
            marks=[
                Points(
                    x=own["balanced_accuracy"],
                    y=[CLASSIFIERS[name] for name in own["classifier"]],
                    error=list(zip(own["balanced_low"], own["balanced_high"], strict=True)),
                    colour=of_emotion(emotion),
                    name=emotion,
                    hover="%{y}: %{x:.1%}",
                )
            ],
            x=x,
            y=Axis(scale="category", categories=titles),
        )
        for emotion, own in by_emotion(drawn)
    ]
    rows = wrapped(panels, 3)
    return Chart(
        rows=rows,
        key=[Key(name="point and 95 % interval", kind="marker", symbol="circle")],
        heights=[30 * len(titles) + 40] * len(rows),
        unified=False,
    )


def sentences(found: Transferred, site: str) -> list[str]:
    """The direction, the logistic probe and the best words on the second data set."""
    rows = found.tables["transfer"]
    own = rows[rows["site"] == site]
    probes = own[own["classifier"].isin(_PROBES)]
    first = probes.iloc[0]
    said = []
    for emotion, own in by_emotion(probes):
        at = own.set_index("classifier")
        direction, probe = at.loc["mass_mean"], at.loc["logistic"]
        words = rows[(rows["emotion"] == emotion) & (rows["classifier"] == probe["baseline"])]
        target = "" if probe["target"] == emotion else f" as {md(str(probe['target']))}"
        n = (int(probe["n_emotion"]), int(probe["n"] - probe["n_emotion"]))
        gain = (
            "not compared with words, there are too few scenarios"
            if probe["n_scenarios_least"] < MIN_UNITS
            else "better than this classifier"
            if probe["difference_low"] > 0
            else "worse than this classifier"
            if probe["difference_high"] < 0
            else "not shown to be better than this classifier"
        )
        said.append(
            f"{md(emotion)}{target} ({n[0]} prompts against {n[1]}): direction "
            f"{_figure(direction)}, AUROC {two(direction['auroc'])} "
            f"[{two(direction['auroc_low'])}, {two(direction['auroc_high'])}]; "
            f"logistic probe {_figure(probe)}; "
            f"{CLASSIFIERS[str(probe['baseline'])]} {_figure(words.iloc[0])}. The logistic probe "
            f"is {gain} ({_points(probe)} points)"
        )
    head = (
        f"**{mono(str(first['model']))}, {site_words(site)}, layers {first['layers']}:** balanced "
        "accuracy on the second data set, with 95 % intervals each."
    )
    remarks = [
        Remark(f"{plural(n, 'prompt')} of the second data set {why} left out.")
        for n, why in (
            (found.n_repeated, "stand in the first as well and are"),
            (found.n_shared_scenarios, "belong to scenarios of the training and are"),
        )
        if n
    ]
    if found.left_out:
        left = listed(list(found.left_out))
        remarks.append(Remark(f"Without a counterpart in the second data set: {left}."))
    return [head, *(f"{each}." for each in said), *remarks]


def _figure(row: pd.Series) -> str:
    chance = "" if row["balanced_low"] > 0.5 else ", not shown to be above chance"
    ends = f"[{two(row['balanced_low'])}, {two(row['balanced_high'])}]"
    return f"{two(row['balanced_accuracy'])} {ends}{chance}"


def _points(row: pd.Series) -> str:
    ends = (100 * row[name] for name in ("difference", "difference_low", "difference_high"))
    value, low, high = (signed(each, ".0f") for each in ends)
    return f"{value} [{low}, {high}]"


def label_pairs(words: str) -> tuple[tuple[str, str], ...]:
    """Pairs of labels in `gratitude=joy, anger=annoyance`; `RequestError` without a `=`."""
    pairs = []
    for part in words.replace(",", " ").split():
        name, found, target = part.partition("=")
        if not (found and name and target):
            raise RequestError(f"{part!r} is no pair of labels; write LABEL=LABEL")
        pairs.append((name, target))
    return tuple(pairs)


def _transferred(source: Analysed, choice: Choice) -> Transferred | EmoactError:
    settings = source.saved.settings
    try:
        return compute_transfer(
            TransferRequest(
                source=str(source.saved.path.parent.parent),
                target=choice["to"].strip(),
                labels=label_pairs(choice["map"]),
                model=choice["model"],
                sites=(choice["hook"],),
                pooling=settings.pooling,
                neutral=settings.neutral,
                seed=settings.seed,
            )
        )
    except EmoactError as error:
        return error


def show(source: Analysed, choice: Choice) -> Shown:
    """Table and chart; none without a second folder, or where it is refused."""
    found = _transferred(source, choice) if choice["to"].strip() else None
    if not isinstance(found, Transferred):
        return Shown(table=pd.DataFrame(), chart=None, caption="", name="transfer")
    drawn = of_site(found, choice["hook"])
    return Shown(
        table=drawn,
        chart=chart(drawn),
        caption=f"Classifiers trained on this folder and tested on {choice['to'].strip()}; "
        f"{display_name(choice['model'])}, {site_words(choice['hook'])}.",
        name=f"transfer-{choice['model']}-{choice['hook']}",
        columns="transfer",
    )


def of_site(found: Transferred, site: str) -> pd.DataFrame:
    """Probes of one site, with layer 0 and the baselines of texts."""
    rows = found.tables["transfer"]
    of_texts = ~rows["classifier"].isin(_PROBES)
    return rows[(rows["site"] == site) | of_texts].reset_index(drop=True)


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """The classifiers that transfer, or the reason for which there is no answer."""
    if not choice["to"].strip():
        return [Remark("Name the results folder of another data set of the same model below.")]
    found = _transferred(source, choice)
    if isinstance(found, Transferred):
        return sentences(found, choice["hook"])
    return [Caution(f"{prose(found.message)}. {prose(found.remedy or '')}".strip())]


_REFUSED = (
    "Nothing was tested, for the reason above. The field of labels takes pairs, those of these "
    "data first; for the shipped data/contrast.jsonl gratitude=self_good, neutral=other_good."
)
_EMPTY = (
    "Nothing was tested yet. Extract another data set with the same model into a results folder of "
    "its own and name that folder above. For the shipped data/contrast.jsonl the labels "
    "gratitude=self_good, neutral=other_good say which of its labels stands for which of these."
)


TRANSFER = View[Analysed](
    name="transfer",
    page="directions",
    title="Test on another data set",
    question="Do directions and probes of these data work on another data set?",
    controls=(
        MODEL,
        BESIDE,
        HOOK,
        Control(name="to", label="Results folder to test on", kind="text", width=300),
        Control(name="map", label="Labels, as gratitude=joy", kind="text", width=260),
    ),
    show=of_both(show),
    # Its sentences name the model, as those of the shell do.
    answer=said_of_both(answer, named=True),
    terms=lambda source, choice: {**vector_terms(source, choice), **TERMS},
    command=lambda source, choice: (
        "transfer",
        "--from",
        str(source.saved.path.parent.parent),
        "--to",
        choice["to"].strip() or "OTHER",
        "--model",
        choice["model"],
        "--site",
        choice["hook"],
        *(word for pair in choice["map"].replace(",", " ").split() for word in ("--map", pair)),
    ),
    empty=lambda _, choice: _REFUSED if choice["to"].strip() else _EMPTY,
)
