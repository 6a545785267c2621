"""A typed sentence beside the saved prompts: nearest class, norms of its tokens and by layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.errors import RequestError
from emoact.host.client import Looked
from emoact.sites import words
from emoact.stats.norms.sentence import (
    NearClasses,
    near_classes,
    sentence_layer_table,
    sentence_norms,
    sentence_token_table,
)
from emoact.views.activations import (
    KIND_TITLES,
    MODELS,
    NORM,
    SITES,
    TEMPLATE_TOKENS,
    Activations,
    layer_control,
    norm_terms,
    one,
    same_width,
    token_label,
)
from emoact.views.chart import Axis, Band, Chart, Line, Mark, Panel, of_emotion
from emoact.views.heatmap import end_words, farthest, grid_chart
from emoact.views.text import md, mono
from emoact.views.view import Choice, Remark, Shown, View


def _command(source: Activations, choice: Choice, by: str) -> list[str]:
    (folder, site), text = one(choice), source.typed.text if source.typed else ""
    command = ["sentence", "--model", folder, "--by", by, "--site", site]
    if by == "class":
        command += ["--layer", str(choice["layer"])]
    elif choice["norm"] != "l2":
        command += ["--norm", choice["norm"]]
    command += ["--results", source.results, "--csv", f"sentence-{by}.csv"]
    # A sentence that begins with a hyphen is no option.
    return [*command, "--", text] if text.startswith("-") else [*command, text]


def near(source: Activations, choice: Choice) -> NearClasses | None:
    """The classes of saved prompts by their distance; None without finite values."""
    _, site = one(choice)
    units, layer = source.of_one(choice), choice["layer"]
    if source.typed is None or not units:
        return None
    pooled = source.typed.arrays[f"{site}.pooled"][layer]
    return near_classes(same_width(units)[0], site, layer, pooled)


def show(source: Activations, choice: Choice) -> Shown:
    """Table of the distance to each class, nearest first."""
    (folder, site), found = one(choice), near(source, choice)
    return Shown(
        table=found.frame() if found else pd.DataFrame(),
        chart=None,
        caption="",
        name=f"sentence-near-classes-{folder}-{site}-layer{choice['layer']}",
    )


def answer(source: Activations, choice: Choice, _shown: Shown) -> list[str]:
    """The nearest class, and the accuracy of the rule on saved prompts."""
    said, found = list[str](), near(source, choice)
    if source.typed is not None and found is not None:
        said += [
            *same_width(source.of_one(choice))[1],
            " ".join(found.sentences(name=lambda name: f"**{md(name)}**", code=mono)),
            Remark(f"Answered in {numbers.duration(source.typed.seconds)}."),
        ]
    return said


SENTENCE = View[Activations](
    name="sentence",
    page="activations",
    title="A sentence beside the saved classes",
    question="Which class do the activations of this sentence resemble most?",
    controls=(MODELS, SITES, NORM, layer_control()),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda source, choice: {
        **norm_terms(source, choice),
        "sentence": "goes through the same model with the same settings as the saved files, in a "
        "process of its own that keeps the model for some minutes.",
        "distance": "root mean square over dimensions of (sentence − class mean) / spread within "
        "classes: diagonal linear discriminant analysis. The nearest class is the one whose "
        "prompts are most alike to the model at that layer, which may be due to words or length as "
        "well as to emotion.",
    },
    command=lambda source, choice: _command(source, choice, "class"),
    empty="The saved prompts hold no finite values at this layer.",
)


def _show_tokens(source: Activations, choice: Choice) -> Shown:
    (folder, site), typed = one(choice), _typed(source)
    norms, kind = sentence_norms(typed.arrays, site, choice["norm"]), KIND_TITLES[choice["norm"]]
    strings, (start, stop) = typed.token_strings, typed.content
    formatted = start > 1 or stop < len(strings)
    ratios = norms / np.median(norms[:, start:stop], axis=1, keepdims=True)
    end = farthest(ratios[:, start:stop])
    return Shown(
        table=sentence_token_table(norms, strings),
        chart=grid_chart(
            ratios,
            columns=[
                token_label(
                    text, part="template" if formatted and not start <= n < stop else "text"
                )
                for n, text in enumerate(strings)
            ],
            column_title="token",
            title=f"{kind} / median of the layer",
            hover=[f"position {n}, {text}" for n, text in enumerate(strings)],
            end=end,
        ),
        caption=f"{kind} / median over the text at each layer, of the {words(site)} of every "
        f"token of a typed sentence.{end_words(end)}" + (TEMPLATE_TOKENS if formatted else ""),
        name=f"sentence-{folder}-{site}",
    )


def _show_layers(source: Activations, choice: Choice) -> Shown:
    (folder, site), typed = one(choice), _typed(source)
    units = same_width(source.of_one(choice))[0]
    norms, kind = sentence_norms(typed.arrays, site, choice["norm"]), KIND_TITLES[choice["norm"]]
    rows = sentence_layer_table(norms, typed.content, units, site, choice["norm"])
    emotions = [unit.emotion for unit in units]
    marks: list[Mark] = [
        Band(x=rows["layer"], low=rows[f"{e} q25"], high=rows[f"{e} q75"], colour=of_emotion(e))
        for e in emotions
    ]
    marks += [
        Line(x=rows["layer"], y=rows[f"{e} median"], colour=of_emotion(e), name=e, legend=True)
        for e in emotions
    ]
    own = Line(
        x=rows["layer"],
        y=rows["sentence"],
        colour="text",
        symbol="circle",
        name="your sentence",
        width=2.6,
        legend=True,
    )
    panel = Panel(
        marks=[*marks, own],
        x=Axis(title="layer", scale="layer"),
        y=Axis(title=f"mean {kind} over content, model units", format=",.3~r"),
    )
    return Shown(
        table=rows,
        chart=Chart(rows=[[panel]], heights=[300]),
        caption=f"Mean {kind} of the {words(site)} over the content positions of a typed "
        "sentence, beside medians and quartiles of the saved prompts.",
        name=f"sentence-beside-classes-{folder}-{site}",
    )


def _typed(source: Activations) -> Looked:
    if source.typed is None:
        raise RequestError("no sentence was typed", remedy="Type one.")
    return source.typed


def _is_typed(source: Activations, tab: str) -> bool:
    return tab == "sentence" and source.typed is not None


SENTENCE_TOKENS = View[Activations](
    name="sentence-tokens",
    page="activations",
    title="Norms of its tokens",
    question="Which tokens of the sentence carry the norm?",
    controls=(MODELS, SITES, NORM),
    show=_show_tokens,
    command=lambda source, choice: _command(source, choice, "token"),
    tab=False,
    below=_is_typed,
)
SENTENCE_LAYERS = View[Activations](
    name="sentence-layers",
    page="activations",
    title="Its norm beside the saved classes",
    question="Is the norm of the sentence like that of the saved prompts?",
    controls=(MODELS, SITES, NORM),
    show=_show_layers,
    command=lambda source, choice: _command(source, choice, "layer"),
    tab=False,
    below=_is_typed,
)
