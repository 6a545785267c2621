"""Options of an extraction, and where its files and its work go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import streamlit as st

from emoact import sites as known
from emoact.jobs import executor
from emoact.jobs.executor import Executor
from emoact.schema import BosPolicy, Device, DType, ExtractionOptions, Processing
from emoact.store import protocol
from emoact.store.protocol import Store
from emoact.ui import links


def ask_options() -> ExtractionOptions | None:
    """Options that decide what an activation is; None while no site is chosen."""
    for parameter, allowed in (
        ("bos", get_args(BosPolicy)),
        ("processing", get_args(Processing)),
        ("dtype", get_args(DType)),
        ("device", get_args(Device)),
        ("sites", known.site_names()),
    ):
        links.note_ignored(parameter, allowed)
    with st.expander("Options", icon=":material/tune:"):
        with st.container(horizontal=True, gap="medium"):
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
            known.site_names(),
            selection_mode="multi",
            default=list(known.saved_sites()),
            key="sites",
            bind="query-params",
            help="Hook points. "
            + known.definitions(known.site_names())
            + " Attention patterns grow with the square of the length.",
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
                "Allow weights stored as pickles",
                key="pickles",
                bind="query-params",
                help="Loading a pickle can run code that its author put in; safetensors cannot.",
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


def ask_places() -> tuple[str, str]:
    """Store and executor of the run; each is asked for only where there is a choice."""
    return (
        _one_of("Format", "store", protocol.STORES, "Format of the files."),
        _one_of("Runs on", "executor", executor.EXECUTORS, "Where the work is done."),
    )


def _one_of(title: str, key: str, records: Sequence[Store | Executor], about: str) -> str:
    labels = {record.name: record.label for record in records}
    if len(labels) == 1:
        return records[0].name
    links.note_ignored(key, labels)
    said = " ".join(f"{record.label}: {record.about}." for record in records)
    chosen = st.segmented_control(
        title,
        list(labels),
        format_func=labels.__getitem__,
        default=records[0].name,
        required=True,
        key=key,
        bind="query-params",
        help=f"{about} {said}",
    )
    return str(chosen)
