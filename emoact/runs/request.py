"""What a user asks for, and every check of it that needs no model."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from emoact.runs.config import RunConfig
from emoact.schema import ExtractionOptions


@dataclass(frozen=True, kw_only=True)
class ExtractRequest:
    """A request to extract activations, as typed or clicked.

    Attributes:
        models: Short names, hub ids with or without `@revision`, directories or `.gguf` files.
        dataset: A file that `read_prompts` reads.
        results: The results root.
        emotions: Labels of the data set; None takes all of them.
        options: Everything else that decides what an activation is.
        overwrite: Replace files of another configuration.
        run_id: Name of the run; None makes one.
        assume_yes: Download more than 200 MB without asking.
        command: The shell command that makes this run; None writes one.
    """

    models: tuple[str, ...]
    dataset: str | os.PathLike[str] = "data/prompts.jsonl"
    results: str | os.PathLike[str] = "results"
    emotions: tuple[str, ...] | None = None
    options: ExtractionOptions = field(default_factory=ExtractionOptions)
    overwrite: bool = False
    run_id: str | None = None
    assume_yes: bool = False
    command: str | None = None


def prepare(request: ExtractRequest) -> RunConfig:
    """The checked request, with its models resolved, its prompts counted and its cost estimated.

    Writes nothing and needs no network. A page may call it on every change of its widgets.

    Raises:
        RequestError: Something in the request is wrong; the message says what is allowed.
    """
    raise NotImplementedError
