"""The form of the Extract page: what to run, what it will take, and the button that starts it."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from emoact.errors import EmoactError
from emoact.models.registry import DEFAULT_MODEL, REGISTRY
from emoact.runs import launch, request
from emoact.runs.config import RunConfig
from emoact.runs.estimate import Estimate
from emoact.runs.request import ExtractRequest
from emoact.schema import (
    DEFAULT_SITES,
    SITES,
    BosPolicy,
    Device,
    DType,
    ExtractionOptions,
    Processing,
)
from emoact.ui import links, numbers
from emoact.ui.boxes import error_box
from emoact.ui.checked_request import Checked, check, labels_of
from emoact.ui.current_run import watch_run
from emoact.ui.text import listed, md, mono, prose

DEFAULT_DATASET = "data/prompts.jsonl"
_FOLDED = "another"
_AGREED = "agreed-to-download"
_NEEDS = {
    "install": "to be installed",
    "download": "to be downloaded",
    "convert": "to be converted",
}


def show(results: str) -> None:
    """Draw the form; starts the run when the button is clicked."""
    asked = _ask(results)
    if asked is None:
        return
    checked = check(asked)
    if checked.error is not None:
        title = "This model is a large download" if checked.large else "This request cannot start"
        error_box(checked.error, title=title)
    else:
        _expect(checked)
    if checked.large or asked.assume_yes:
        st.checkbox("Download it", key=_AGREED, persist_state="page")
    if st.button(
        _label(checked, asked),
        type="primary",
        icon=":material/play_circle:",
        disabled=checked.config is None,
        key="start",
    ):
        run_id = launched(asked)
        if run_id is not None:
            watch_run(run_id)
            st.session_state.pop(_FOLDED, None)
            st.rerun()


def show_folded(results: str) -> None:
    """The form under a run, out of its way until it is wanted."""
    folded = st.expander(
        "Set up another run", icon=":material/add_circle:", key=_FOLDED, on_change="rerun"
    )
    if folded.open:
        with folded:
            show(results)


def launched(asked: ExtractRequest) -> str | None:
    """The id of the run that was started; None when it could not, which becomes a box."""
    try:
        started = launch.start(request.prepare(asked))
    except EmoactError as error:
        error_box(error, title="The run could not start")
        return None
    if started.existing:
        st.toast(
            "This run is under way already; no second one was started.", icon=":material/info:"
        )
    return started.run_id


def _ask(results: str) -> ExtractRequest | None:
    """The request that the widgets spell, or None where something has to be chosen first."""
    with st.container(horizontal=True, gap="medium"):
        models = st.multiselect(
            "Models",
            [spec.name for spec in REGISTRY],
            default=[DEFAULT_MODEL],
            accept_new_options=True,
            key="models",
            bind="query-params",
            placeholder="Name, hub id, folder or .gguf file",
            help="A name of the registry, or type a hub id (with @revision if you like), the path "
            "of a Hugging Face folder, or the path of a .gguf file.",
        )
        dataset = st.text_input(
            "Data set",
            DEFAULT_DATASET,
            key="dataset",
            bind="query-params",
            help="A JSONL, JSON, CSV, TSV or Parquet file whose rows have text and emotion. The "
            "shipped one has 200 sentences of our own, 50 for each of four classes.",
        )
    labels = labels_of(dataset or "")
    if labels.error is not None:
        error_box(labels.error, title="The data set cannot be read")
        return None
    links.note_ignored("emotions", labels.counts)
    emotions = st.pills(
        "Emotions",
        list(labels.counts),
        selection_mode="multi",
        default=list(labels.counts),
        key="emotions",
        bind="query-params",
        help="Class labels of the data set; each becomes one file for each model.",
    )
    options = _options()
    if not models or not emotions or options is None:
        missing = "a model" if not models else "an emotion" if not emotions else "a site"
        st.caption(f"Choose at least {missing}.")
        return None
    chosen = tuple(label for label in labels.counts if label in emotions)
    return ExtractRequest(
        models=tuple(models),
        dataset=dataset or DEFAULT_DATASET,
        results=results,
        emotions=None if len(chosen) == len(labels.counts) else chosen,
        options=options,
        overwrite=bool(st.session_state.get("overwrite")),
        assume_yes=bool(st.session_state.get(_AGREED)),
    )


def _options() -> ExtractionOptions | None:
    """What else decides what an activation is; None while no site is chosen."""
    for parameter, allowed in (
        ("bos", get_args(BosPolicy)),
        ("processing", get_args(Processing)),
        ("dtype", get_args(DType)),
        ("device", get_args(Device)),
        ("sites", SITES),
    ):
        links.note_ignored(parameter, allowed)
    with st.expander("Options", icon=":material/tune:"):
        with st.grid(4, min_column_width=220, gap="medium"):
            bos = st.segmented_control(
                "BOS",
                get_args(BosPolicy),
                default="prepend",
                required=True,
                key="bos",
                bind="query-params",
                help="Prepend the tokenizer's beginning-of-sequence token. Without it the first "
                "word becomes the attention sink.",
            )
            processing = st.segmented_control(
                "Weights",
                get_args(Processing),
                default="raw",
                required=True,
                key="processing",
                bind="query-params",
                help="raw: what Hugging Face computes. tl_compat: LayerNorm folded and weights "
                "centred as TransformerLens 2 did, which changes norms.",
            )
            dtype = st.segmented_control(
                "Precision",
                get_args(DType),
                default="float32",
                required=True,
                key="dtype",
                bind="query-params",
                help="Type of the forward pass; files hold float32. bfloat16 is faster and off by "
                "about 2 %.",
            )
            device = st.segmented_control(
                "Device",
                get_args(Device),
                default="auto",
                required=True,
                key="device",
                bind="query-params",
                help="auto takes a GPU where there is one.",
            )
        sites = st.pills(
            "Sites",
            SITES,
            selection_mode="multi",
            default=list(DEFAULT_SITES),
            key="sites",
            bind="query-params",
            help="Hook points. resid_pre: input of a layer. mlp_out: output of its MLP. "
            "resid_post: the stream after the last layer. attn_out: output of attention. pattern: "
            "attention weights, which grow with the square of the length.",
        )
        with st.container(horizontal=True, gap="large"):
            truncate = st.checkbox(
                "Truncate long prompts",
                key="truncate",
                bind="query-params",
                help="Cut prompts that exceed the model's context, and record which. Else such a "
                "prompt is refused.",
            )
            nonadditive = st.checkbox(
                "Allow a non-additive MLP hook",
                key="nonadditive",
                bind="query-params",
                help="Accept a model whose MLP hook is not what the layer adds to the stream.",
            )
            st.checkbox(
                "Overwrite files of another configuration",
                key="overwrite",
                bind="query-params",
                help="Else a file in the way that was made with other settings stops the run "
                "before it starts.",
            )
    if not sites:
        return None
    return ExtractionOptions(
        bos=bos,
        processing=processing,
        dtype=dtype,
        device=device,
        sites=tuple(sites),
        truncate=truncate,
        allow_nonadditive_mlp=nonadditive,
    )


def _label(checked: Checked, asked: ExtractRequest) -> str:
    """What the button does, in its own words."""
    if checked.config is None:
        return "Extract"
    n_prompts = sum(checked.config.counts[emotion] for emotion in checked.config.emotions)
    names = listed(list(asked.models)) if len(asked.models) < 3 else f"{len(asked.models)} models"
    return f"Extract {numbers.plural(n_prompts, 'prompt')} with {md(names)}"


def _expect(checked: Checked) -> None:
    """What the run will take, and what each model needs first."""
    if checked.config is None:
        return
    if checked.config.estimate is not None:
        st.markdown(_estimate_line(checked.config.estimate))
        for warning in checked.config.estimate.warnings:
            st.warning(prose(warning), icon=":material/warning:")
    st.caption("  \n".join(_model_lines(checked.config)))


def _estimate_line(estimate: Estimate) -> str:
    rate = (
        "at the rate measured on this machine"
        if estimate.rate_source == "measured"
        else "at a guessed rate, better after the first run"
    )
    return (
        f"About **{numbers.duration(estimate.seconds)}**, "
        f"**{numbers.size(estimate.disk_bytes)}** on disk and "
        f"{numbers.size(estimate.memory_bytes)} of memory for "
        f"{numbers.plural(estimate.n_tokens, 'token')}, {rate}."
    )


def _model_lines(config: RunConfig) -> list[str]:
    lines = []
    for model in config.models:
        shape = (
            f", {model.n_layers} layers of width {model.d_model}"
            if model.n_layers and model.d_model
            else ""
        )
        size = f" ({numbers.size(model.download_bytes)})" if model.download_bytes else ""
        ready = f"has {_NEEDS[model.needs]} first{size}" if model.needs else "is ready"
        lines.append(
            f"{mono(model.asked)} {ready}{shape}; to {mono(f'activations/{model.folder}')}"
        )
    return lines
