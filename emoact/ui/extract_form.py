"""Form of the Extract page: request, estimate, and the button that starts the run."""

from __future__ import annotations

import streamlit as st

from emoact import numbers
from emoact.errors import EmoactError
from emoact.jobs import launch, request
from emoact.jobs.config import Estimate, RunConfig
from emoact.jobs.request import ExtractRequest
from emoact.models.registry import DEFAULT_MODEL, REGISTRY
from emoact.ui import links
from emoact.ui.boxes import error_box
from emoact.ui.checked_request import Checked, check, labels_of
from emoact.ui.current_run import START, watch_run
from emoact.ui.extract_options import ask_options, ask_places
from emoact.views.text import listed, md, mono, prose

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
        key=START,
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
        links.remark("This run was under way already; no second one was started.")
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
    options = ask_options()
    if not models or not emotions or options is None:
        missing = "a model" if not models else "an emotion" if not emotions else "a site"
        st.caption(f"Choose at least {missing}.")
        return None
    chosen = tuple(label for label in labels.counts if label in emotions)
    store, executor = ask_places()
    return ExtractRequest(
        models=tuple(models),
        dataset=dataset or DEFAULT_DATASET,
        results=results,
        emotions=None if len(chosen) == len(labels.counts) else chosen,
        options=options,
        overwrite=bool(st.session_state.get("overwrite")),
        allow_pickle_weights=bool(st.session_state.get("pickles")),
        assume_yes=bool(st.session_state.get(_AGREED)),
        executor=executor,
        store=store,
    )


def _label(checked: Checked, asked: ExtractRequest) -> str:
    """Label of the button: prompts and models of the request."""
    if checked.config is None:
        return "Extract"
    n_prompts = sum(checked.config.counts[emotion] for emotion in checked.config.emotions)
    names = listed(list(asked.models)) if len(asked.models) < 3 else f"{len(asked.models)} models"
    return f"Extract {numbers.plural(n_prompts, 'prompt')} with {md(names)}"


def _expect(checked: Checked) -> None:
    """Show the estimate, and the install or download of each model."""
    if checked.config is None:
        return
    if checked.config.estimate is not None:
        st.markdown(_estimate_line(checked.config.estimate))
        for warning in checked.config.estimate.warnings:
            st.warning(prose(warning), icon=":material/warning:")
    st.caption("  \n".join(_model_lines(checked.config)))


def _estimate_line(estimate: Estimate) -> str:
    if not any(model.n_samples for model in estimate.models):
        return (
            "Every file asked for is on disk already, made with these settings: there is nothing "
            "to compute. A run would note that and end."
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
