"""One prompt: norms and largest dimensions of each token, and the prompts nearest to it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.sites import words
from emoact.stats.distances.nearest import nearest_prompts
from emoact.stats.norms.norm_tables import NormTable
from emoact.stats.norms.tables import token_norms
from emoact.store.summaries.measures import UnitMeasures
from emoact.views.activations import (
    EMOTION,
    FIRST,
    KIND_TITLES,
    MODELS,
    NORM,
    RESPONSE_TOKENS,
    SITES,
    TEMPLATE_TOKENS,
    Activations,
    layer_control,
    norm_terms,
    one,
    token_label,
)
from emoact.views.heatmap import (
    CELLS,
    RAW_SCALE,
    end_words,
    grid_chart,
    last_ratio,
    of_layer,
    of_layer_words,
)
from emoact.views.text import md, mono
from emoact.views.view import Choice, Control, Remark, Shown, View


def _unit(source: Activations, choice: Choice) -> UnitMeasures | None:
    return next((u for u in source.of_one(choice) if u.emotion == choice["emotion"]), None)


def _ids(source: Activations, choice: Choice) -> list[str]:
    unit = _unit(source, choice)
    return [unit.prompt_id(sample) for sample in range(unit.n_samples)] if unit else []


PROMPT = Control[Activations](name="prompt", label="Prompt", kind="select", options=_ids, width=220)


def _wanted(choice: Choice) -> NormTable:
    folder, site = one(choice)
    return NormTable(
        by="token",
        norm=choice["norm"],
        models=(folder,),
        emotions=(choice["emotion"],),
        sites=(site,),
        prompt=choice["prompt"],
        content=not choice["first"],
    )


def show(source: Activations, choice: Choice) -> Shown:
    """Table and chart; position 0 only on request, since a sink leaves one colour to the others."""
    (folder, site), unit = one(choice), _unit(source, choice)
    prompt, kind = choice["prompt"], KIND_TITLES[choice["norm"]]
    rows = _wanted(choice).frame([unit]) if unit and prompt else pd.DataFrame()
    chart, end = None, None
    if len(rows):
        tokens = rows[rows["layer"] == rows["layer"].iloc[0]]
        parts = tokens["part"] if "part" in tokens else [""] * len(tokens)
        values = of_layer(pd.DataFrame(rows["value"].to_numpy().reshape(-1, len(tokens))), choice)
        end = last_ratio(values, choice)
        chart = grid_chart(
            values.to_numpy(),
            columns=[
                token_label(text, part=part)
                for text, part in zip(tokens["token"], parts, strict=True)
            ],
            column_title="token",
            title=f"{kind}{of_layer_words(choice)}",
            hover=[
                f"position {position}, {text} {part}".rstrip()
                for position, text, part in zip(
                    tokens["position"], tokens["token"], parts, strict=True
                )
            ],
            log=choice.get("scale") == "log",
            end=end,
        )
    return Shown(
        table=rows,
        chart=chart,
        caption=f"{kind}{of_layer_words(choice)} of the {words(site)} of every "
        f"{'' if choice['first'] else 'content '}token of prompt {prompt} ({choice['emotion']}) by "
        f"layer.{end_words(end)}{_brackets(rows)}",
        columns="norms_token",
        name=f"prompt-{folder}-{site}-{prompt}",
    )


def _brackets(rows: pd.DataFrame) -> str:
    parts = set(rows["part"]) if "part" in rows else set()
    return (TEMPLATE_TOKENS if "template" in parts else "") + (
        RESPONSE_TOKENS if "response" in parts else ""
    )


def answer(source: Activations, choice: Choice, _shown: Shown) -> list[str]:
    """The text, and its content token with the largest norm."""
    said, unit = list[str](), _unit(source, choice)
    if unit is None or not choice["prompt"]:
        return said
    sample = _ids(source, choice).index(choice["prompt"])
    said.append(f"“{md(unit.prompt_text(sample))}”")
    if unit.responses:
        said.append(f"Response of the model: “{md(unit.responses[sample])}”")
    start, (first, stop) = int(unit.offsets[sample]), unit.content[sample]
    norms = token_norms(unit, one(choice)[1], choice["norm"])
    content = norms[:, start + first : start + stop]
    if content.size and np.isfinite(content).any():
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.nan_to_num(content / np.nanmedian(content, axis=1, keepdims=True))
        layer, at = (int(n) for n in np.unravel_index(np.argmax(apart), apart.shape))
        position = at + first
        said.append(
            f"Its largest content token is {mono(unit.token_strings[sample][position])} (position "
            f"{position}) at layer {layer}, with {numbers.significant(apart[layer, at])} times the "
            "median of its content there."
        )
    return said


PROMPT_VIEW = View[Activations](
    name="prompt",
    page="activations",
    title="Tokens of one prompt",
    question="Which tokens of this prompt carry the norm, and in which dimensions?",
    controls=(MODELS, SITES, NORM, CELLS, RAW_SCALE, FIRST, EMOTION, PROMPT),
    single=("model", "site"),
    show=show,
    answer=answer,
    terms=lambda source, choice: {
        **norm_terms(source, choice),
        "massive activations": "a few tokens that are many times larger than the others "
        "([Sun et al. 2402.17762](https://arxiv.org/abs/2402.17762)); on the first token a sink "
        "([Xiao et al. 2309.17453](https://arxiv.org/abs/2309.17453)).",
        "top1, top2, top3": "the largest dimensions of the token, as dimension: value.",
    },
    command=lambda source, choice: source.command(_wanted(choice)),
    empty="The prompt has no content token; *Position 0* shows its BOS.",
)


def nearest(source: Activations, choice: Choice) -> Shown:
    """Table of the prompts nearest to the chosen one at one layer."""
    (folder, site), unit = one(choice), _unit(source, choice)
    layer, rows = choice["layer"], []
    if unit is not None and choice["prompt"]:
        # Vectors of another width are in another space.
        units = [
            other
            for other in source.of_one(choice)
            if other.d_model == unit.d_model and layer < other.sites[site].n_layers
        ]
        pooled = [other.sites[site].pooled[layer] for other in units]
        owner = [(other, row) for other in units for row in range(other.n_samples)]
        own = owner.index((unit, _ids(source, choice).index(choice["prompt"])))
        rows = [
            {
                "distance": distance,
                "emotion": owner[index][0].emotion,
                "prompt": owner[index][0].prompt_id(owner[index][1]),
                "text": owner[index][0].prompt_text(owner[index][1]),
            }
            for index, distance in nearest_prompts(np.concatenate(pooled), own)
        ]
    return Shown(
        table=pd.DataFrame(rows),
        chart=None,
        caption="",
        name=f"nearest-{folder}-{site}-{choice['prompt']}-layer{layer}",
    )


NEAREST = View[Activations](
    name="nearest",
    page="activations",
    title="Nearest other prompts",
    question="Which prompts are most alike to the model at this layer?",
    controls=(MODELS, SITES, EMOTION, PROMPT, layer_control()),
    show=nearest,
    answer=lambda _source, choice, _shown: [
        Remark(
            f"By the means over content of {mono(one(choice)[1])} at layer {choice['layer']}, each "
            "dimension divided by its standard deviation over all prompts of the model. The "
            "distance is the root mean square over dimensions; independent prompts are at about "
            "1.4."
        )
    ],
    empty="There is no other prompt with finite values.",
    tab=False,
    below=lambda _source, tab: tab == "prompt",
)
