"""The shell command that makes a run; what a page shows to copy and a pickle records."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from emoact.schema import ExtractionOptions

if TYPE_CHECKING:
    from emoact.jobs.request import ExtractRequest


def shell_command(request: ExtractRequest) -> str:
    """The command that asks for the same; what is default is left out, except for the science.

    BOS, processing, dtype and sites are always said, so that a later default changes nothing.
    """
    words = ["python", "-m", "emoact", "extract"]
    for model in request.models:
        words += ["--model", model]
    for emotion in request.emotions or ():
        words += ["--emotion", emotion]
    words += ["--dataset", os.fspath(request.dataset), "--results", os.fspath(request.results)]
    words += _options(request.options)
    for name, value, default in (
        ("store", request.store, "pickle"),
        ("executor", request.executor, "local"),
    ):
        words += [] if value == default else [f"--{name}", value]
    flags = {
        "--allow-pickle-weights": request.allow_pickle_weights,
        "--overwrite": request.overwrite,
        "--yes": request.assume_yes,
    }
    words += [flag for flag, is_set in flags.items() if is_set]
    return shlex.join(words)


def _options(options: ExtractionOptions) -> list[str]:
    words = ["--bos", options.bos, "--processing", options.processing, "--dtype", options.dtype]
    for site in options.sites:
        words += ["--site", site]
    if options.truncate:
        words.append("--truncate")
    if options.allow_nonadditive_mlp:
        words.append("--allow-nonadditive-mlp")
    if options.device != "auto":
        words += ["--device", options.device]
    return words
