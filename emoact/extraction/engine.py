"""The interfaces of the pipeline: a model that computes, and a reporter that is told of it.

Nothing here imports torch, so that tests can put stand-ins in both places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from emoact.errors import RequestError
from emoact.models.alike import Loading, ModelRequest, installed_source
from emoact.models.source import ModelSource, OnStep, Step
from emoact.numbers import some
from emoact.positions import Span
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName


@dataclass(frozen=True, kw_only=True)
class Tokenised:
    """One prompt as the model sees it.

    Attributes:
        ids: Token ids, with the BOS token where one was prepended.
        content_start: First position after BOS; 0 where none was prepended.
        full_length: Length before truncation; larger than `len(ids)` where it was cut.
        span: Positions of the user's text in a chat template or before a response; None without
            either.
        response: Positions of the tokens that the model wrote; None where it was not asked to.
    """

    ids: Int64[np.ndarray, "pos"]
    strings: tuple[str, ...]
    content_start: int
    full_length: int
    span: Span | None = None
    response: Span | None = None
    response_text: str = ""

    @property
    def content(self) -> Span:
        """Positions of the text: the rest is BOS, chat template or response."""
        start, stop = self.span or (self.content_start, len(self.ids))
        return start, min(stop, len(self.ids))

    @property
    def is_truncated(self) -> bool:
        """True when tokens were cut off to fit the context."""
        return self.full_length > len(self.ids)


def check_prompt(named: str, prompt: Tokenised, options: ExtractionOptions, model: str) -> None:
    """Raise `RequestError` for a prompt without tokens, or one that the options forbid to cut."""
    start, stop = prompt.content
    if prompt.is_truncated and options.generation is not None:
        raise RequestError(
            f"{named} has {prompt.full_length:,} tokens; {model} takes at most "
            f"{len(prompt.ids):,} before a response of {options.generation.max_tokens:,}",
            remedy="Shorten it, or pass a smaller --generate.",
        )
    if start >= stop:
        raise RequestError(f"{named} has no tokens in {model}", remedy="Leave it out.")
    if prompt.is_truncated and not options.truncate:
        raise RequestError(
            f"{named} has {prompt.full_length:,} tokens; {model} takes at most {len(prompt.ids):,}",
            remedy="Shorten it, or pass --truncate to cut it, which the provenance then says.",
        )


def check_responses(
    named: Sequence[str], prompts: Sequence[Tokenised], stop: Sequence[int], model: str
) -> None:
    """Refuse empty responses, which no mean can be taken of.

    Raises:
        RequestError: The model ended a response before its first token.
    """
    empty = [
        name
        for name, prompt in zip(named, prompts, strict=True)
        if prompt.response is not None and prompt.response[0] == prompt.response[1]
    ]
    if empty:
        raise RequestError(
            f"{model} gives no response to {some(empty)}: its first token is one that ends a "
            f"response (id {some([str(token) for token in stop])})",
            remedy="Leave these prompts out, or extract with --chat template, with the beginning "
            "of a response (--assistant), or without --generate.",
        )


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """Facts of a loaded model for metadata and provenance.

    Attributes:
        d_head: Width of a head; 0 where it is unknown.
        chat_template: SHA-256 of the chat template that was applied, or None.
        chat_clock: Time that this template is told where it asks for one, ISO 8601, or None.
        stop_tokens: Ids of the tokens that end a response.
        bos: `policy`, `prepended`, `token`, `token_id`.
        plan: Layout of the passes, with the reason for its choice.
        weight_sha256: Hash of the files of the weights, or None without files.
    """

    n_layers: int
    d_model: int
    d_vocab: int
    n_heads: int
    bos: Mapping[str, Any]
    device: str
    plan: Mapping[str, Any]
    self_check: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    random_weights: bool = False
    weight_sha256: str | None = None
    d_head: int = 0
    chat_template: str | None = None
    chat_clock: str | None = None
    stop_tokens: tuple[int, ...] = ()


Put = Callable[[SiteName, int, int, Float32[np.ndarray, "..."]], None]
"""Takes (site, layer, sample, activations of that sample)."""
OnPass = Callable[[int, int], None]
"""Called after each pass with the samples and tokens that it finished."""


def untold(_samples: int, _tokens: int) -> None:
    """An `OnPass` that does nothing."""


def counted(tell: Callable[[int], None]) -> OnPass:
    """An `OnPass` that gives the number of samples that are done so far."""
    done = 0

    def on_pass(samples: int, _tokens: int) -> None:
        nonlocal done
        done += samples
        tell(done)

    return on_pass


CHECK_TEXTS = (
    "Thank you for the soup that you left at our door.",
    "Thank you for the book.",
    "The train to the coast leaves at nine.",
    "You kept the keys again, and nobody could get in.",
    "I lost the ticket that you gave me.",
    "Rain.",
)
"""Texts of a self-check without a data set: shared beginnings and several lengths."""


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """A model, and what it is loaded and checked for.

    Attributes:
        texts: Prompts for the self-check, at least one; those of the run where there is one.
        frozen: Plan of an earlier start of the same run. It is used again where it agrees with
            single prompts, so that a resumed run computes the same bits.
    """

    source: ModelSource
    options: ExtractionOptions
    texts: tuple[str, ...] = CHECK_TEXTS
    frozen: Mapping[str, Any] | None = None
    allow_pickle_weights: bool = False

    @property
    def loading(self) -> Loading:
        """Settings that decide how the model is loaded."""
        source = self.source
        return Loading.of(source.folder, source.commit, self.options, self.allow_pickle_weights)


@runtime_checkable
class Engine(Protocol):
    """A loaded model."""

    @property
    def facts(self) -> EngineFacts:
        """Sizes, BOS, plan and self-check."""

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        """One result per text, in their order."""

    def generate(
        self, prompts: Sequence[Tokenised], *, on_pass: OnPass = untold
    ) -> list[Tokenised]:
        """The prompts with the responses that the options ask for behind them.

        A response may be empty.
        """

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass = untold) -> float:
        """Compute the activations of one unit and hand each over exactly once.

        Returns:
            Seconds that a part of it took before the call.
        """

    def again(self, request: EngineRequest, on_step: OnStep) -> Engine:
        """The same loaded model for other prompts, sites or a given plan, as a new one would be."""


EngineFor = Callable[[EngineRequest, OnStep], Engine]
"""Loads and checks the model of a request."""

UnitEvent = Literal["unit_planned", "unit_started", "unit_progress", "unit_saved", "unit_skipped"]
"""Event of a unit, and its fields.

`unit_planned`: The unit will be computed; `n_samples`, `n_tokens`.
`unit_started`: Its first pass begins.
`unit_progress`: A pass is done; `samples_done`, `tokens_done` are totals within the unit.
`unit_saved`: Its file is on disk and acknowledged; `path`, `size` in bytes, `sha256`, `seconds` of
wall time from its first pass on, `n_samples`, `n_tokens`.
`unit_skipped`: It is on disk already; `path`, `reason`.
"""


@runtime_checkable
class Reporter(Protocol):
    """Receives the events of a run. `model` is always the name of the model's folder."""

    def step(
        self,
        step: Step,
        *,
        model: str,
        detail: str = "",
        done: float | None = None,
        total: float | None = None,
    ) -> None:
        """The step under way; `done` and `total` are bytes while something is fetched."""

    def unit(self, event: UnitEvent, *, model: str, emotion: str, **fields: Any) -> None:
        """An event of a unit, with the fields that `UnitEvent` names."""

    def note(self, text: str) -> None:
        """A remark for the user."""

    def check_in_place(self) -> None:
        """Raise `EmoactError` when the folder of the run was moved or removed."""

    def check_cancelled(self) -> None:
        """Raise `CancelledError` when the run was cancelled; called between passes."""


def steps_of(reporter: Reporter, folder: str) -> OnStep:
    """The steps of loading a model, told to the reporter of a run, which may raise to stop."""

    def on_step(step: Step, **progress: Any) -> None:
        reporter.step(step, model=folder, **progress)

    return on_step


def engine_of_files(
    model: ModelRequest, texts: Sequence[str], reporter: Reporter, engine_for: EngineFor
) -> Engine:
    """The loaded model of saved files, checked on these texts; `EmoactError` if it has changed."""
    request = EngineRequest(
        source=installed_source(model),
        options=model.options,
        texts=tuple(texts) or CHECK_TEXTS,
        allow_pickle_weights=model.allow_pickle_weights,
    )
    return engine_for(request, steps_of(reporter, model.folder))
