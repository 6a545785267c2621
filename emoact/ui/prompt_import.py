"""Choice and import of the data set of the Prompts page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile

from emoact import numbers
from emoact.data.importing import Import, check_import, columns_of, renamed
from emoact.data.rows import REQUIRED, likely_column
from emoact.store.atomic import replace_atomically
from emoact.store.layout import ResultsRoot
from emoact.ui.audit_view import shape_sentence
from emoact.ui.boxes import (
    Outcome,
    answer,
    download,
    error_box,
    keep_error,
    outcome,
    show_kept_error,
)
from emoact.ui.prompt_data import DEFAULT_DATASET, offer_datasets, prompt_frame
from emoact.views.text import md, mono

_PREVIEW = 20
_REFUSED = "The file could not be saved"
_UPLOAD = "upload"
_KEPT = "imports-kept"
_FOUND = "import-found"
_SAMPLE = """text,emotion,scenario_id,subset
Thank you for the soup.,gratitude,soup,explicit
I am furious about the soup.,anger,soup,explicit
I am sorry that I spilt the soup.,apology,soup,explicit
The soup is on the table.,neutral,soup,explicit
"""
_NO_COLUMN = "(none)"
DATASET = "file"
"""Query parameter; Extract has another one, because a page sets only its own."""


def pick(results: str) -> str:
    """Show the choice of the data set, and return its path."""
    chosen = st.selectbox(
        "Data set",
        offer_datasets(results, DATASET),
        key=DATASET,
        bind="query-params",
        accept_new_options=True,
        width=460,
        help="Shipped prompts, prompts imported into this results folder, or the path of a file.",
    )
    return chosen or DEFAULT_DATASET


def show(results: str) -> None:
    """Show the file uploader, and the preview or the error of the last file."""
    with st.expander("Import prompts of your own", icon=":material/upload_file:", key="import"):
        file = st.file_uploader(
            "A JSONL, JSON, CSV, TSV or Parquet file with text and emotion",
            # A new key empties the uploader.
            key=_uploader(),
            help="Rows need text and emotion; id, scenario_id, subset and lang are optional. The "
            "file is checked first, and then saved below the results folder.",
            on_change=_forget,
        )
        download("Sample file", _SAMPLE, name="prompts.csv", mime="text/csv", key="sample")
        show_kept_error(_REFUSED)
        # One that was given back is empty.
        if file is not None and len(content := file.getvalue()) == file.size:
            st.session_state[_FOUND] = file.name, *_read(file.name, content)
            _give_back(file)
        if _FOUND not in st.session_state:
            return
        name, checked, data = st.session_state[_FOUND]
        if data is not None:
            checked = _mapped(name, data)
        if checked.value is None:
            error_box(checked.error, title=f"{md(name)} was not imported")
            return
        _preview(results, checked.value)


def _read(name: str, data: bytes) -> tuple[Outcome[Import], bytes | None]:
    """The outcome of a check, and the bytes where columns can be mapped to what is missing."""
    checked = outcome(lambda: check_import(name, data))
    columns = columns_of(name, data) if checked.value is None else []
    maps = len(columns) > 1 and not set(REQUIRED) <= set(columns)
    return checked, data if maps else None


def _mapped(name: str, data: bytes) -> Outcome[Import]:
    """Ask which columns hold text and emotion, and check the file with these names."""
    columns = columns_of(name, data)
    st.caption(f"{mono(name)} names its columns otherwise. Choose those of text and emotion.")
    chosen = {}
    with st.container(horizontal=True):
        for field in (*REQUIRED, "scenario_id"):
            own = field if field in columns else likely_column(field, columns)
            options = columns if field in REQUIRED else [_NO_COLUMN, *columns]
            chosen[field] = st.selectbox(
                f"Column of {field}",
                options,
                index=options.index(own) if own in options else 0,
                key=f"map-{field}-{name}",
                width=220,
            )
    names = {column: field for field, column in chosen.items() if column != _NO_COLUMN}
    if len({chosen[field] for field in REQUIRED}) < len(REQUIRED):
        return outcome(lambda: check_import(name, data))
    return outcome(lambda: check_import(name, renamed(name, data, names)))


def _forget() -> None:
    """Drop the last file: another was chosen, or it was removed from the uploader."""
    # One that was given back by `_give_back` counts as changed in the next run, too.
    if not isinstance(st.session_state.get(_uploader()), DeletedFile):
        st.session_state.pop(_FOUND, None)


def _uploader() -> str:
    return f"{_UPLOAD}{st.session_state.get(_KEPT) or ''}"


def _give_back(file: UploadedFile) -> None:
    """Remove a file that was read from the server, which would keep it until its page is closed."""
    context = get_script_run_ctx()
    manager = None if context is None else context.uploaded_file_mgr
    if isinstance(manager, MemoryUploadedFileManager) and context is not None:
        manager.remove_file(context.session_id, file.file_id)
    # What the page was given is a copy of what its session keeps until its next run.
    held = st.session_state.get(_uploader())
    if isinstance(held, UploadedFile):
        held.truncate(0)


def _preview(results: str, found: Import) -> None:
    prompts = found.dataset.prompts
    shown = dataclasses.replace(found.dataset, prompts=prompts[:_PREVIEW])
    counts = ", ".join(
        f"{md(emotion)} {len(found.dataset.of(emotion)):,}" for emotion in found.dataset.emotions
    )
    answer(f"{mono(found.name)}:", shape_sentence(found.dataset), f"{counts}.")
    if len(found.dataset.emotions) < 2:
        st.warning(
            f"All prompts have the emotion {md(found.dataset.emotions[0])}. Activations of it can "
            "be extracted; a direction needs a second class, such as neutral.",
            icon=":material/warning:",
        )
    st.dataframe(
        prompt_frame(shown, {}),
        hide_index=True,
        column_config={"text": st.column_config.TextColumn(width=520)},
        placeholder=numbers.MISSING,
        alt="The first prompts of the file",
    )
    if len(prompts) > _PREVIEW:
        st.caption(f"The first {_PREVIEW} of {len(prompts):,}.")
    st.button(
        f"Use {numbers.plural(len(prompts), 'prompt')}",
        type="primary",
        icon=":material/check:",
        on_click=_keep,
        args=(results, found),
        help=f"Saves the file as datasets/{found.file_name} below the results folder.",
    )


def _keep(results: str, found: Import) -> None:
    with keep_error(_REFUSED):
        st.session_state[DATASET] = str(keep_dataset(results, found))
        st.session_state.pop(_FOUND, None)
        st.session_state[_KEPT] = st.session_state.get(_KEPT, 0) + 1


def keep_dataset(results: str, found: Import) -> Path:
    """Keep a data set and return its path; its name holds its hash, so equal bytes are kept once.

    Raises:
        EmoactError: It cannot be written.
    """
    path = ResultsRoot(results).dataset_path(found.file_name)
    with replace_atomically(path, need=len(found.data)) as file:
        file.write(found.data)
    return path
