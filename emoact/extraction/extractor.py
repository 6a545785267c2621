"""A model in this process for one text, several texts or a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from jaxtyping import Float32, Int64

from emoact.data.rows import shown
from emoact.extraction.engine import (
    EngineFacts,
    EngineRequest,
    Tokenised,
    check_prompt,
    check_responses,
)
from emoact.extraction.pipeline import bridge_engine, run_units
from emoact.models.install import ensure_model
from emoact.models.resolve import resolve_model
from emoact.models.source import OnStep, silent
from emoact.positions import Span
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName
from emoact.store.layout import ResultsRoot


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The activations of one text.

    Attributes:
        tokens: Token ids, BOS included where it was prepended.
        content_start: First position after BOS; 0 where none was prepended.
        content: First position of the text, and the first one after it; the rest is BOS, chat
            template or response.
        response: First position that the model wrote, and the first one after it; None where it
            was not asked to.
        residual_stream: Input of each layer; empty when the site was not asked for.
        mlp_output: What each layer's MLP adds; empty when the site was not asked for.
        sites: Every site that was asked for, by layer.
    """

    text: str
    tokens: Int64[np.ndarray, "pos"]
    token_strings: tuple[str, ...]
    content_start: int
    content: Span
    response: Span | None
    response_text: str
    residual_stream: Float32[np.ndarray, "layer pos d_model"]
    mlp_output: Float32[np.ndarray, "mlp_layer pos d_model"]
    sites: Mapping[SiteName, Sequence[np.ndarray]]


class ActivationExtractor:
    """A loaded and checked model.

    Args:
        model: Short name, hub id with or without `@revision`, directory, or `.gguf` file.
        options: What an activation is; raw float32 with BOS by default.
        allow_pickle_weights: Load weights that are stored as pickles.
        on_step: Told what is under way while the model is fetched and loaded.

    Raises:
        RequestError: The model cannot be had from here, or does not do what was asked for.
        EmoactError: It cannot be loaded.
    """

    def __init__(
        self,
        model: str = "smollm2-135m",
        *,
        options: ExtractionOptions | None = None,
        allow_pickle_weights: bool = False,
        on_step: OnStep = silent,
    ) -> None:
        self.options = options or ExtractionOptions()
        self._asked = model
        self._allow_pickle_weights = allow_pickle_weights
        self._source = ensure_model(
            resolve_model(model, allow_pickle_weights=allow_pickle_weights), on_step=on_step
        )
        request = EngineRequest(
            source=self._source, options=self.options, allow_pickle_weights=allow_pickle_weights
        )
        self._engine = bridge_engine(request, on_step)

    @property
    def facts(self) -> EngineFacts:
        """Sizes, BOS, plan and self-check of the loaded model."""
        return self._engine.facts

    @property
    def model_name(self) -> str:
        """The `model_name` of its pickles."""
        return self._source.model_name

    @property
    def n_layers(self) -> int:
        """Number of transformer blocks."""
        return self.facts.n_layers

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.facts.d_model

    # A str is also a Sequence[str]; the first signature that fits is the right one.
    @overload
    def extract(self, texts: str) -> Sample: ...  # type: ignore[overload-overlap]

    @overload
    def extract(self, texts: Sequence[str]) -> list[Sample]: ...

    def extract(self, texts: str | Sequence[str]) -> Sample | list[Sample]:
        """The activations of one text, or of several in their order.

        Raises:
            RequestError: A text has no tokens, does not fit the context and may not be cut, or gets
                an empty response.
            EmoactError: The model failed.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        prompts = self._engine.tokenise(several)
        for text, prompt in zip(several, prompts, strict=True):
            check_prompt(f"the text {shown(text)}", prompt, self.options, self._source.name)
        if self.options.generation is not None and prompts:
            prompts = self._engine.generate(prompts)
            names = [f"the text {shown(text)}" for text in several]
            check_responses(names, prompts, self.facts.stop_tokens, self._source.name)
        found: list[dict[tuple[SiteName, int], np.ndarray]] = [{} for _ in several]

        def put(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
            # Copied, because a view would keep the whole pass in memory.
            found[sample][site, layer] = rows.copy()

        if prompts:
            self._engine.forward(prompts, put=put)
        samples = [
            _sample(text, prompt, arrays, self)
            for text, prompt, arrays in zip(several, prompts, found, strict=True)
        ]
        return samples[0] if isinstance(texts, str) else samples

    def extract_dataset(
        self,
        dataset: str | os.PathLike[str],
        *,
        results: str | os.PathLike[str] = "results",
        emotions: Sequence[str] | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write the contract pickle of every emotion of a data set; returns their paths.

        Args:
            dataset: A file of labelled prompts.
            results: Results root.
            emotions: Labels to extract; all of them by default.
            overwrite: Replace files of another configuration.

        Raises:
            RequestError: The data set is refused, or a file is in the way.
            EmoactError: The model or the disk failed.
        """
        from emoact.jobs.request import ExtractRequest, prepare

        config = prepare(
            ExtractRequest(
                models=(self._asked,),
                dataset=dataset,
                results=results,
                emotions=None if emotions is None else tuple(emotions),
                options=self.options,
                overwrite=overwrite,
                allow_pickle_weights=self._allow_pickle_weights,
            )
        )

        run_units(config, reporter=Quiet(), plans={}, engine_for=lambda *_: self._engine)
        root = ResultsRoot(results)
        return [root.unit_path(self._source.folder, part.label) for _, part in config.units]


def _sample(
    text: str,
    prompt: Tokenised,
    arrays: Mapping[tuple[SiteName, int], np.ndarray],
    extractor: ActivationExtractor,
) -> Sample:
    facts = extractor.facts
    sites: dict[SiteName, Sequence[np.ndarray]] = {
        site: [array for key, array in sorted(arrays.items()) if key[0] == site]
        for site in extractor.options.sites
    }

    def stacked(site: SiteName) -> np.ndarray:
        if site not in sites:
            return np.empty((0, len(prompt.ids), facts.d_model), dtype=np.float32)
        return np.stack(sites[site])

    return Sample(
        text=text,
        tokens=prompt.ids,
        token_strings=prompt.strings,
        content_start=prompt.content_start,
        content=prompt.content,
        response=prompt.response,
        response_text=prompt.response_text,
        residual_stream=stacked("resid_pre"),
        mlp_output=stacked("mlp_out"),
        sites=sites,
    )


class Quiet:
    """A reporter without output, which is never cancelled."""

    def step(self, *_: object, **__: object) -> None:
        """Nothing is shown."""

    unit = note = step

    def check_in_place(self) -> None:
        """There is no folder of a run."""

    def check_cancelled(self) -> None:
        """Never cancelled."""
