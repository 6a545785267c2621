"""Form of the Extract page: request, estimate, and the button that starts the run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, get_args

import streamlit as st

from emoact import numbers
from emoact import sites as known
from emoact.jobs import executor, request
from emoact.jobs.config import Estimate, ModelEstimate, RunConfig
from emoact.jobs.on_disk import InTheWayError
from emoact.jobs.request import AgreementError, ExtractRequest
from emoact.models.registry import DEFAULT_MODEL, REGISTRY, configured
from emoact.schema import BosPolicy, Device, DType, ExtractionOptions, Processing
from emoact.store import protocol
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import Outcome, error_box, outcome, start_button
from emoact.ui.current_run import START, folded, launched, watch_run
from emoact.ui.folders import offer_folder
from emoact.ui.prompt_data import DEFAULT_DATASET, Version, offer_datasets, read_dataset, version_of
from emoact.ui.prompt_form import ask_chat, ask_generation, ask_one, ask_precision
from emoact.ui.reading import file_outlines
from emoact.views.text import listed, md, mono, prose

_CHOICES: tuple[tuple[str, str, Any, str], ...] = (
    (
        "bos",
        "BOS",
        BosPolicy,
        "Prepend the tokenizer's beginning-of-sequence token. Without it the first word becomes "
        "the attention sink.",
    ),
    (
        "processing",
        "Weights",
        Processing,
        "raw: what Hugging Face computes. tl_compat: LayerNorm folded and weights centred as "
        "TransformerLens 2 did, which changes norms.",
    ),
    (
        "dtype",
        "Precision",
        DType,
        "Type of the forward pass; files hold float32. bfloat16 is off by about 2 %; it is "
        "faster on a GPU and slower on most processors.",
    ),
    ("device", "Device", Device, "auto takes a GPU where there is one."),
)
"""Parameter, title, values and help of the options with few values; the first is the default."""
_SWITCHES = (
    (
        "truncate",
        "Truncate long prompts",
        "Cut prompts that exceed the model's context, and record which. Else such a prompt is "
        "refused.",
    ),
    (
        "nonadditive",
        "Allow a non-additive MLP hook",
        "Accept a model whose MLP hook is not what the layer adds to the stream.",
    ),
    (
        "pickles",
        "Allow weights stored as pickles",
        "Loading a pickle can run code that its author put in; safetensors cannot.",
    ),
    (
        "overwrite",
        "Overwrite files of another configuration",
        "Else a file in the way that was made with other settings stops the run before it starts.",
    ),
)
_FOLDED = "another"
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
    if isinstance(checked.error, AgreementError):
        st.info(prose(checked.error.message) + ".", icon=":material/download:")
        agreed = replace(asked, assume_yes=True)
        _expect(check(agreed).value)
        terms = checked.error.terms
        label = f"Download, and accept the {terms}" if terms else "Download"
        if st.checkbox(label, key=f"agreed-{','.join(asked.models)}"):
            asked, checked = agreed, check(agreed)
    elif checked.error is not None:
        error_box(checked.error, title="This request cannot start")
        if isinstance(checked.error, InTheWayError):
            _offer_both(asked)
    else:
        _expect(checked.value)
        if checked.value is not None and _others(checked.value):
            st.warning(
                "This folder has files of another data set. An analysis takes the files of one; "
                "extract this data set into a results folder of its own.",
                icon=":material/warning:",
            )
            offer_folder(asked.dataset)
    config = checked.value
    possible = config is not None and not _is_done(config.estimate)
    if start_button(_label(config, asked), key=START, possible=possible):
        run_id = start(asked)
        if run_id is not None:
            watch_run(run_id)
            st.session_state.pop(_FOLDED, None)
            st.rerun()


def show_folded(results: str) -> None:
    """The form under a run, out of its way until it is wanted."""
    folded("Set up another run", _FOLDED, lambda: show(results))


def check(asked: ExtractRequest) -> Outcome[RunConfig]:
    """The run of a request; unless a file is recorded, not checked again for ten seconds."""
    recorded = os.fspath(ResultsRoot(asked.results).manifest)
    return _check(asked, (version_of(os.fspath(asked.dataset)), version_of(recorded)))


# Whether a model is there changes without the request changing.
@st.cache_resource(max_entries=64, ttl=10, show_spinner="Checking the request")
def _check(asked: ExtractRequest, versions: tuple[Version, Version]) -> Outcome[RunConfig]:
    del versions  # part of the key: a data set that was changed is read again
    return outcome(lambda: request.prepare(asked))


def start(asked: ExtractRequest) -> str | None:
    """The id of the run that was started; None when it could not, which becomes a box."""
    return launched(lambda: request.prepare(asked), title="The run could not start")


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
        dataset = st.selectbox(
            "Data set",
            offer_datasets(results, "dataset"),
            accept_new_options=True,
            key="dataset",
            bind="query-params",
            help="The shipped one has 200 sentences of our own, 50 for each of four classes; "
            "imported ones are listed. The path of another file can be typed: a JSONL, JSON, CSV, "
            "TSV or Parquet file whose rows have text and emotion.",
        )
    read = read_dataset(dataset or "")
    if read.error is not None:
        error_box(read.error, title="The data set cannot be read")
    if read.value is None:
        return None
    labels = list(dict.fromkeys(prompt.emotion for prompt in read.value.prompts))
    emotions = links.choose_many(
        "Emotions",
        labels,
        key="emotions",
        default=labels,
        help="Class labels of the data set; each becomes one file for each model.",
    )
    options = _ask_options(tuple(models))
    if not models or not emotions or options is None:
        missing = "a model" if not models else "an emotion" if not emotions else "a site"
        st.caption(f"Choose at least {missing}.")
        return None
    chosen = tuple(label for label in labels if label in emotions)
    store = ask_one("Format", "store", protocol.STORES, "Format of the files.")
    return ExtractRequest(
        models=tuple(models),
        dataset=dataset or DEFAULT_DATASET,
        results=results,
        emotions=None if len(chosen) == len(labels) else chosen,
        options=replace(options, precision=ask_precision(protocol.find_store(store))),
        overwrite=bool(st.session_state.get("overwrite")),
        allow_pickle_weights=bool(st.session_state.get("pickles")),
        store=store,
        executor=ask_one("Runs on", "executor", executor.offered(), "Where the work is done."),
    )


def _ask_options(models: tuple[str, ...]) -> ExtractionOptions | None:
    """Options that decide what an activation is; None while no site is chosen."""
    names = known.site_names()
    with st.expander("Options", icon=":material/tune:"):
        chat = ask_chat(models)
        generation = ask_generation()
        whole = chat is not None or generation is not None
        with st.container(horizontal=True, gap="medium"):
            chosen = {
                parameter: links.choose_one(title, get_args(allowed), key=parameter, help=about)
                for parameter, title, allowed, about in _CHOICES
                # A template decides the first token itself.
                if chat is None or parameter != "bos"
            }
        sites = links.choose_many(
            "Sites",
            names,
            key="sites",
            default=list(known.saved_sites()),
            help=f"Hook points. {known.definitions(names)} Attention patterns grow with the square "
            "of the length.",
        )
        if st.query_params.pop("pickles", ""):
            links.ignore("pickles", "a link cannot allow what may run code; tick the box.")
        with st.container(horizontal=True, gap="large"):
            ticked = {
                parameter: st.checkbox(
                    title,
                    key=parameter,
                    bind=None if parameter == "pickles" else "query-params",
                    help=about,
                    disabled=whole and parameter == "truncate",
                )
                for parameter, title, about in _SWITCHES
            }
    if not sites:
        return None
    return ExtractionOptions(
        **chosen,
        sites=tuple(sites),
        truncate=ticked["truncate"] and not whole,
        allow_nonadditive_mlp=ticked["nonadditive"],
        chat=chat,
        generation=generation,
    )


def _offer_both(asked: ExtractRequest) -> None:
    """The button that keeps the files of this configuration apart from those in the way."""
    names = [configured(model, asked.options.label) for model in asked.models]
    if names != list(asked.models):
        st.button(
            f"Keep both: extract as {md(listed(names))}",
            icon=":material/library_add:",
            key="keep-both",
            on_click=st.session_state.update,
            args=({"models": names},),
            help="The files get a folder of their own, named by what differs, and stand beside the "
            "others on every page.",
        )
    offer_folder(asked.dataset)


def _others(config: RunConfig) -> bool:
    """True where files of these models in the folder were made from another data set."""
    folders = {model.folder for model in config.models}
    made = (each.unit for each in file_outlines(config.results) if each.file.folder in folders)
    known = {(unit.configuration or {}).get("dataset") for unit in made if unit is not None}
    return bool(known - {None, config.dataset.sha256})


def _label(config: RunConfig | None, asked: ExtractRequest) -> str:
    """Label of the button: prompts and models of the request."""
    if config is None:
        return "Extract"
    n_prompts = sum(config.counts[emotion] for emotion in config.emotions)
    names = listed(list(asked.models)) if len(asked.models) < 3 else f"{len(asked.models)} models"
    return f"Extract {numbers.plural(n_prompts, 'prompt')} with {md(names)}"


def _expect(config: RunConfig | None) -> None:
    """Show the estimate, and the install or download of each model."""
    if config is None:
        return
    if config.estimate is not None:
        st.markdown(_estimate_line(config.estimate))
        for warning in config.estimate.warnings:
            st.warning(prose(warning), icon=":material/warning:")
    st.caption("  \n".join(_model_lines(config)))


def _is_done(estimate: Estimate | None) -> bool:
    """True where every file that is asked for is on disk."""
    return estimate is not None and not any(model.n_samples for model in estimate.models)


def _estimate_line(estimate: Estimate) -> str:
    if _is_done(estimate):
        return (
            "Nothing to extract: every file asked for is on disk already, made with these settings."
        )
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
    estimates = config.estimate.models if config.estimate is not None else ()
    costs = {estimate.folder: cost_words(estimate) for estimate in estimates}
    lines = []
    for model in config.models:
        shape = (
            f", {model.n_layers} layers of width {model.d_model}"
            if model.n_layers and model.d_model
            else ""
        )
        size = f" ({numbers.size(model.download_bytes)})" if model.download_bytes else ""
        ready = f"has {_NEEDS[model.needs]} first{size}" if model.needs else "is ready"
        cost = f": {costs[model.folder]}" if costs.get(model.folder) else ""
        lines.append(
            f"{mono(model.asked)} {ready}{shape}{cost}, to {mono(f'activations/{model.folder}')}"
        )
    return lines


def cost_words(estimate: ModelEstimate, about_time: str = "") -> str:
    """Time and space of one model of a run; empty where nothing is left to compute."""
    if not estimate.n_samples:
        return ""
    seconds = estimate.prepare_s + estimate.extract_s
    return f"about {numbers.duration(seconds)}{about_time} and {numbers.size(estimate.disk_bytes)}"
