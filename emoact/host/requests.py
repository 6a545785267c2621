"""The requests that a host computes: each a dataclass for its JSON, and one function.

Another request is one more entry in `REQUESTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact import sites as known
from emoact.data.rows import shown
from emoact.extraction.engine import check_prompt
from emoact.host.warm import WarmModel
from emoact.models.alike import Loading, ModelRequest, installed_source, loading_of
from emoact.positions import pool_sample, position_norms
from emoact.sites import SiteName

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One kind of request.

    Attributes:
        asked: Dataclass that its JSON is decoded into.
        loading: The model that it needs, loaded in which way.
        answer: Computes words and arrays; called one at a time, on the main thread.
    """

    asked: type[Any]
    loading: Callable[[Any], Loading]
    answer: Callable[[WarmModel, Any], Answer]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A typed sentence, and the model and the settings to treat it with."""

    request: ModelRequest
    text: str


def look(warm: WarmModel, asked: Sentence) -> Answer:
    """Norms and pooled vectors of a sentence, as in `client.Looked`.

    Raises:
        RequestError: The sentence has no tokens, or too many.
        EmoactError: The model is not there, or it failed.
    """
    options = asked.request.options
    source = installed_source(asked.request)
    engine = warm.engine_like(source, options)
    (prompt,) = engine.tokenise([asked.text])
    check_prompt(f"the text {shown(asked.text)}", prompt, options, source.name)
    found: dict[tuple[SiteName, int], np.ndarray] = {}

    def put(site: SiteName, layer: int, _sample: int, rows: np.ndarray) -> None:
        if known.site(site).has_vectors:
            found[site, layer] = rows.copy()

    engine.forward([prompt], put=put, on_pass=lambda _samples, _tokens: None)
    arrays = {}
    for site in dict.fromkeys(site for site, _ in found):
        layers = [found[key] for key in sorted(found) if key[0] == site]
        arrays[f"{site}.l2"] = np.stack([position_norms(rows, "l2") for rows in layers])
        arrays[f"{site}.l1"] = np.stack([position_norms(rows, "l1") for rows in layers])
        pooled = [pool_sample(rows, content_start=prompt.content_start) for rows in layers]
        arrays[f"{site}.pooled"] = np.stack(pooled)
    return {
        "token_strings": list(prompt.strings),
        "content_start": prompt.content_start,
        "bos": dict(engine.facts.bos),
        "random_weights": engine.facts.random_weights,
    }, arrays


REQUESTS: Mapping[str, Request] = {
    "sentence": Request(
        asked=Sentence, loading=lambda asked: loading_of(asked.request), answer=look
    ),
}
