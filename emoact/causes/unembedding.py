"""Log-probabilities of tokens from what the last norm gives; imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import nn

from emoact.causes.steering import N_DRAWN, N_TOP, WIDER

_ROWS, _COLUMNS = 1024, 4096
"""Positions and tokens of the vocabulary whose logits are in memory at once: 16 MiB."""
_LEAST_VECTORS = 16
"""Candidates are worth their choice for this many hidden states of one position."""
_TOLERANCE = 3e-5
"""Largest standard error of a log-probability, in nats; beyond it all logits are computed.

The mean over ten tokens then has at most 1e-5.
"""
_WIDEST = 1.0
"""Standard deviation of the change of the rest's logits beyond which no draw stands for them."""
_MOST_KEPT = 4096
"""Positions whose candidates are kept: 16 MiB for every 340."""


@contextmanager
def in_place_of(modules: Sequence[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Let a function stand in place of the `forward` of some modules."""
    # A component of the bridge hands attributes on to what it wraps.
    owned = [vars(module) for module in modules]
    before = [own.get("forward") for own in owned]
    try:
        for own in owned:
            own["forward"] = forward
        yield
    finally:
        for own, kept in zip(owned, before, strict=True):
            own.pop("forward")
            if kept is not None:
                own["forward"] = kept


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Tokens whose logits are computed at one position.

    Attributes:
        tokens: The most probable ones, then draws from all others in proportion to their
            probability, stratified.
        before: Logits of the draws without a change.
        rest: Log of the sum of exp(logit) over all that are not among the most probable, without a
            change.
    """

    tokens: torch.Tensor
    before: torch.Tensor
    rest: float


_HOLDS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Known values of `Unembedding.holds`; its two passes take a tenth of a typed answer."""


class Unembedding:
    """The last linear map of a model, and the normalisation behind it.

    Where the vocabulary is large and one position has many hidden states, the sum over the
    vocabulary is that over the most probable tokens plus an estimate of the rest by importance
    sampling: sum exp(logit') = Z E[exp(logit' - logit)], with draws in proportion to exp(logit) and
    Z their sum, both without a change. Rows whose standard error is beyond 3e-5 nats are computed
    in full.

    Args:
        model: The model of transformers, with a bridge around it or not.
        n_top: Most probable tokens of a position.
        n_drawn: Draws from the others.

    Attributes:
        holds: True where the logits of the model are this map of the last hidden state and nothing
            more; else nothing else may be asked of this object.

    Source: Owen (2013), Monte Carlo theory, methods and examples, chapter 9.
    """

    def __init__(self, model: Any, *, n_top: int = N_TOP, n_drawn: int = N_DRAWN) -> None:
        self._model, self._n_top, self._n_drawn = model, n_top, n_drawn
        self._outer: Any = model.get_output_embeddings()
        inner: Any = self._outer
        while isinstance(getattr(inner, "original_component", None), nn.Module):
            inner = inner.original_component
        self.holds = False
        if isinstance(inner, nn.Linear):
            self._weight, self._bias = inner.weight.detach(), inner.bias
            if model not in _HOLDS:
                _HOLDS[model] = self._is_all()
            self.holds = _HOLDS[model]
        self._kept: dict[tuple[int, ...], Candidates] = {}

    def wants_candidates(self, n_vectors: int) -> bool:
        """True where candidates are less work than the whole vocabulary."""
        chosen = self._n_top + self._n_drawn
        return n_vectors >= _LEAST_VECTORS and len(self._weight) >= WIDER * chosen

    def bypassed(self) -> AbstractContextManager[None]:
        """Let the model give its last hidden states in place of logits."""
        return in_place_of([self._outer], lambda hidden: hidden)

    def exact(
        self, hidden: Float[torch.Tensor, "row d_model"], tokens: Int64[torch.Tensor, " row"]
    ) -> Float64[np.ndarray, " row"]:
        """Log-probability of one token at each row, in nats, from all logits."""
        found = [
            self._exact(hidden[start : start + _ROWS], tokens[start : start + _ROWS])
            for start in range(0, len(hidden), _ROWS)
        ]
        return np.concatenate(found) if found else np.empty(0)

    def estimated(
        self,
        hidden: Float[torch.Tensor, "vector d_model"],
        before: Float[torch.Tensor, " d_model"],
        prefix: tuple[int, ...],
        token: int,
    ) -> tuple[Float64[torch.Tensor, " vector"], Bool[torch.Tensor, " vector"]]:
        """Log-probability of a token at one position for many hidden states, in nats.

        Returns:
            The estimates, and True where the sum over the rest is not known well enough.
        """
        if prefix not in self._kept:
            while len(self._kept) >= _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[prefix] = self._candidates(before, prefix)
        chosen = self._kept[prefix]
        bias = None if self._bias is None else self._bias[chosen.tokens]
        logits = nn.functional.linear(hidden, self._weight[chosen.tokens], bias).double()
        top = torch.logsumexp(logits[:, : self._n_top], dim=1)
        change = logits[:, self._n_top :] - chosen.before
        rest = chosen.rest + torch.logsumexp(change, dim=1) - np.log(self._n_drawn)
        whole = torch.logaddexp(top, rest)
        ratio = torch.exp(change - change.amax(dim=1, keepdim=True))
        error = ratio.std(dim=1) / ratio.mean(dim=1) / np.sqrt(self._n_drawn)
        error = error * torch.exp(rest - whole)
        sure = (error <= _TOLERANCE) & (change.std(dim=1) <= _WIDEST)
        target = torch.full((len(hidden),), token, device=hidden.device)
        return self._logits_of(hidden, target) - whole, ~sure

    def _candidates(self, before: torch.Tensor, prefix: tuple[int, ...]) -> Candidates:
        logits = nn.functional.linear(before, self._weight, self._bias).double()
        top = logits.topk(self._n_top, sorted=False).indices
        others = logits.clone()
        others[top] = -torch.inf
        heights = torch.cumsum(torch.softmax(others, dim=0), dim=0)
        rng = np.random.default_rng([18, *prefix])
        strata = (np.arange(self._n_drawn) + rng.random(self._n_drawn)) / self._n_drawn
        # Rounding can make the last of the heights a little less than 1.
        wanted = torch.tensor(strata, device=heights.device) * heights[-1]
        drawn = torch.searchsorted(heights, wanted)
        return Candidates(
            tokens=torch.cat([top, drawn]),
            before=logits[drawn],
            rest=float(torch.logsumexp(others, dim=0)),
        )

    def _exact(self, hidden: torch.Tensor, tokens: torch.Tensor) -> np.ndarray:
        parts = []
        for start in range(0, len(self._weight), _COLUMNS):
            bias = None if self._bias is None else self._bias[start : start + _COLUMNS]
            logits = nn.functional.linear(
                hidden, self._weight[start : start + _COLUMNS], bias
            ).float()
            parts.append(torch.logsumexp(logits, dim=1).double())
        whole = torch.logsumexp(torch.stack(parts), dim=0)
        said: np.ndarray = (self._logits_of(hidden, tokens) - whole).cpu().numpy()
        return said

    def _logits_of(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        found = (hidden.double() * self._weight[tokens].double()).sum(dim=1)
        return found if self._bias is None else found + self._bias[tokens].double()

    @torch.inference_mode()
    def _is_all(self) -> bool:
        """Compare the logits of the model with this map of its last hidden states."""
        ids = torch.tensor([[1, 2]], device=self._weight.device)
        logits = self._model(input_ids=ids, use_cache=False).logits[0].float()
        with self.bypassed():
            hidden = self._model(input_ids=ids, use_cache=False).logits[0]
        if hidden.shape[-1] != self._weight.shape[1]:
            return False
        expected = torch.log_softmax(logits, dim=-1)[0, ids[0, 1]].double().cpu().numpy()
        found = self.exact(hidden[:1], ids[0, 1:])[0]
        return bool(np.abs(found - expected) <= 1e-4 * max(1.0, float(np.abs(expected))))
