"""Passes that change the residual stream at one layer and compute only what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import nn

from emoact.causes.contributions import check_layer
from emoact.causes.unembedding import Unembedding, in_place_of
from emoact.errors import EmoactError, RequestError
from emoact.extraction.shortcut import shortcut
from emoact.positions import Span

BUDGET = 768
"""Most tokens of a pass."""
_LARGEST_LOGITS = 64_000_000
"""Most numbers in the logits of a pass, and in the hidden states that wait for their logits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """Tokens of one text, with those that are changed and those that are scored.

    Attributes:
        ids: Token ids.
        changed_from: First position at which the stream is changed: the one after BOS.
        scored: Positions of the tokens whose log-probability is measured. The first token of all
            has none, because nothing comes before it.
        words: Tokens whose log-probability right after the text is measured behind these; needs a
            pass over the last token.
    """

    ids: Int64[np.ndarray, " pos"]
    changed_from: int
    scored: Span
    words: tuple[int, ...] = ()

    @property
    def asked(self) -> list[tuple[int, int]]:
        """Positions and tokens whose log-probability is measured."""
        own = [(at, int(self.ids[at])) for at in range(max(self.scored[0], 1), self.scored[1])]
        return own + [(len(self.ids), word) for word in self.words]

    @property
    def n_scored(self) -> int:
        """Number of scored tokens."""
        return self.scored[1] - max(self.scored[0], 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Edited:
    """One text in a pass with changes.

    Attributes:
        stream: Input of the layer that was read.
        log_probs: Of the scored tokens, then of the words, in nats.
    """

    stream: Float[np.ndarray, "pos d_model"]
    log_probs: Float64[np.ndarray, " token"]


Edit = Callable[[Sequence[int]], Sequence[tuple[str, Callable[..., Any]]]]
"""Names of hooks and their functions, for a batch of these texts."""


class UpperLayers:
    """Log-probabilities of texts with vectors added to the input of a layer.

    The input of the layer is computed once for all vectors; then only the layers from it on run.

    Args:
        layer: Layer whose input (`resid_pre`) is changed.
        direct: Bypass the bridge's components; right where its weights are as they were loaded.
        unembedding: That of the model where it was made before; None makes one.
        names: Hooks of the bridge that `edited` attaches functions to.
        whole: Compute the last token too, which only what is read inside the model needs.

    Raises:
        RequestError: The model has no such layer.
    """

    def __init__(
        self,
        bridge: Any,
        texts: Sequence[Text],
        *,
        layer: int,
        direct: bool,
        unembedding: Unembedding | None = None,
        names: Sequence[str] = (),
        whole: bool = False,
    ) -> None:
        self._names, self._cut = names, 0 if whole else 1
        self._bridge, self._texts, self.layer, self._direct = bridge, texts, layer, direct
        self._model = bridge.original_model
        self._device = next(self._model.parameters()).device
        check_layer(layer, int(bridge.cfg.n_layers))
        # Weights that were processed live in the components alone.
        self._unembedding = unembedding or Unembedding(self._model) if direct else None
        self._budget = BUDGET
        if self._unembedding is None or not self._unembedding.holds:
            n_vocabulary = int(bridge.original_model.config.vocab_size)
            self._unembedding = None
            self._budget = max(64, min(BUDGET, _LARGEST_LOGITS // n_vocabulary))
        self._streams: list[tuple[list[int], torch.Tensor, torch.Tensor]] = []
        self._tuple = 0

    @torch.inference_mode()
    def log_probs(
        self,
        vectors: Float[np.ndarray, "vector d_model"],
        chosen: Sequence[int],
        on_pass: Callable[[int], None] = lambda _: None,
    ) -> list[Float64[np.ndarray, "vector token"]]:
        """Log-probabilities of the scored tokens of some texts, in nats, vector by vector.

        Each vector is added at every changed position of the `chosen` texts. `on_pass` is called
        after each pass with its number of texts, each vector counted; it may raise to stop.
        """
        found = {text: np.empty((len(vectors), len(self._texts[text].asked))) for text in chosen}
        with self._changed():
            for rows, ids, stream in self._inputs(lambda: on_pass(0)):
                wanted = [place for place, text in enumerate(rows) if text in found]
                for places in self._together(rows, wanted, len(vectors)):
                    own = [rows[place] for place in places]
                    length = max(len(self._texts[text].ids) for text in own) - self._cut
                    self._batch(
                        own, ids[places, :length], stream[places, :length], vectors, found, on_pass
                    )
        return [found[text] for text in chosen]

    @torch.inference_mode()
    def edited(
        self,
        edit: Edit,
        read: int,
        on_pass: Callable[[], None] = lambda: None,
    ) -> list[Edited]:
        """Every text with hooks of the model changed.

        `edit` gives the functions to attach, from the indices of the texts of a batch; `on_pass` is
        called after each pass and may raise to stop.
        """
        found: dict[int, Edited] = {}
        inputs: list[torch.Tensor] = []

        def note(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            inputs[:] = [stream_of(args, kwargs)]

        with self._changed():
            for rows, ids, stream in self._inputs(on_pass):
                with (
                    self._blocks[read].register_forward_pre_hook(note, with_kwargs=True),
                    self._bridge.hooks(fwd_hooks=list(edit(rows))),
                ):
                    given = self._run(ids, stream)
                said = self._said(rows, given[None], None)
                for place, text in enumerate(rows):
                    stream_read = inputs[0][place, : len(self._texts[text].ids)].float().cpu()
                    found[text] = Edited(stream=stream_read.numpy(), log_probs=said[place][0])
                on_pass()
        return [found[text] for text in range(len(self._texts))]

    def _together(
        self, rows: Sequence[int], places: Sequence[int], n_vectors: int
    ) -> list[list[int]]:
        """Places of texts that share passes: of one length where the vectors alone fill a pass."""
        groups: dict[int, list[int]] = {}
        for place in places:
            length = len(self._texts[rows[place]].ids)
            groups.setdefault(length if n_vectors * length >= self._budget else 0, []).append(place)
        return list(groups.values())

    def _batch(
        self,
        rows: list[int],
        ids: torch.Tensor,
        stream: torch.Tensor,
        vectors: np.ndarray,
        found: dict[int, np.ndarray],
        on_pass: Callable[[int], None],
    ) -> None:
        n_texts, length = ids.shape
        changed = torch.zeros((n_texts, length, 1), dtype=stream.dtype, device=stream.device)
        for place, text in enumerate(rows):
            changed[place, self._texts[text].changed_from :] = 1

        together = max(1, self._budget // (n_texts * length))

        def passes(part: np.ndarray) -> Iterator[torch.Tensor]:
            """Outputs of the model for every vector and text, some vectors at a time."""
            for start in range(0, len(part), together):
                added = torch.tensor(part[start : start + together], dtype=stream.dtype)
                added = added.to(stream.device)[:, None, None, :]
                steered = (stream[None] + changed[None] * added).flatten(0, 1)
                given = self._run(ids.repeat(len(added), 1), steered)
                yield given.reshape(len(added), n_texts, *given.shape[1:])
                on_pass(len(added) * n_texts)

        before: torch.Tensor | None = None
        # Logits of one pass are as many as are held at once.
        waiting = together
        if self._unembedding is not None:
            waiting = max(1, _LARGEST_LOGITS // (n_texts * length * stream.shape[-1]))
            if self._unembedding.wants_candidates(len(vectors)):
                before = self._run(ids, stream)
        for first in range(0, len(vectors), waiting):
            parts = list(passes(vectors[first : first + waiting]))
            given = parts[0] if len(parts) == 1 else torch.cat(parts)
            said = self._said(rows, given, before)
            for text, values in zip(rows, said, strict=True):
                found[text][first : first + len(values)] = values

    def _said(
        self, rows: Sequence[int], hidden: torch.Tensor, before: torch.Tensor | None
    ) -> list[np.ndarray]:
        """Log-probabilities of the scored tokens of some texts from their last hidden states.

        Those are logits where no unembedding is apart. `before` are the hidden states without a
        change, `[text, pos, d_model]`; None computes all logits.
        """
        unembedding = self._unembedding
        if unembedding is None:
            return [
                np.stack([said_of(each[place], self._texts[text]) for each in hidden])
                for place, text in enumerate(rows)
            ]
        asked = [self._texts[text].asked for text in rows]
        places = [(place, at) for place, own in enumerate(asked) for at, _ in own]
        tokens = [token for own in asked for _, token in own]
        said = np.empty((len(hidden), len(places)))
        wanted = torch.ones(said.shape, dtype=torch.bool)
        states = torch.stack([hidden[:, place, at - 1] for place, at in places], dim=1)
        if before is not None:
            for column, (place, at) in enumerate(places):
                prefix = tuple(self._texts[rows[place]].ids[:at].tolist())
                values, wanted[:, column] = unembedding.estimated(
                    states[:, column], before[place, at - 1], prefix, tokens[column]
                )
                said[:, column] = values.cpu().numpy()
        targets = torch.tensor(tokens, device=hidden.device).expand(said.shape)
        there = wanted.to(hidden.device)
        said[wanted.numpy()] = unembedding.exact(states[there], targets[there])
        ends = np.cumsum([len(own) for own in asked])
        return np.split(said, ends[:-1], axis=1)

    def _inputs(
        self, on_pass: Callable[[], None]
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Texts, their ids and the input of the layer, batch by batch; computed at first."""
        if self._streams:
            yield from self._streams
            return
        computed = []
        for rows in self._batches():
            length = max(len(self._texts[text].ids) for text in rows) - self._cut
            ids = np.zeros((len(rows), length), dtype=np.int64)
            for place, text in enumerate(rows):
                own = self._texts[text].ids[:length]
                # What follows a text is arbitrary: no earlier position attends to it.
                ids[place, : len(own)], ids[place, len(own) :] = own, own[-1]
            tensor = torch.from_numpy(ids).to(self._device)
            computed.append((rows, tensor, self._capture(tensor)))
            on_pass()
            yield computed[-1]
        self._streams = computed

    def _batches(self) -> list[list[int]]:
        """Texts of similar length side by side; the last token of a text is never an input."""
        order = sorted(range(len(self._texts)), key=lambda text: -len(self._texts[text].ids))
        batches: list[list[int]] = []
        for text in order:
            if len(self._texts[text].ids) <= self._cut:
                continue
            if batches:
                width = len(self._texts[batches[-1][0]].ids) - self._cut
                if (len(batches[-1]) + 1) * width <= self._budget:
                    batches[-1].append(text)
                    continue
            batches.append([text])
        return batches

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Replace the layers below by nothing, and the input of the layer by `self._stream`."""
        with shortcut(self._bridge, self._names) if self._direct else nullcontext():
            self._blocks = blocks_of(self._bridge)
            self._stream: torch.Tensor | None = None
            block = self._blocks[self.layer]
            with block.register_forward_pre_hook(self._enter, with_kwargs=True):
                yield

    def _enter(
        self, _block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if self._stream is None:
            self._captured = stream_of(args, kwargs).clone()
            raise _EnoughError
        return with_stream(args, kwargs, self._stream)

    def _capture(self, ids: torch.Tensor) -> torch.Tensor:
        """The input of the layer; notes in what form a block returns its output."""
        self._stream = None

        def note(_block: nn.Module, _args: object, output: Any) -> None:
            self._tuple = len(output) if isinstance(output, tuple) else 0

        with self._blocks[0].register_forward_hook(note):
            try:
                self._model(input_ids=ids, use_cache=False)
            except _EnoughError:
                return self._captured
        raise EmoactError(f"layer {self.layer} did not run", remedy="Report this as a fault.")

    def _run(self, ids: torch.Tensor, stream: torch.Tensor) -> torch.Tensor:
        """Logits, or the last hidden states where the unembedding is apart."""
        self._stream = stream
        size = self._tuple

        def passing(*args: Any, **kwargs: Any) -> Any:
            hidden = stream_of(args, kwargs)
            return (hidden, *[None] * (size - 1)) if size else hidden

        try:
            with (
                in_place_of(self._blocks[: self.layer], passing),
                self._unembedding.bypassed() if self._unembedding else nullcontext(),
            ):
                output: torch.Tensor = self._model(input_ids=ids, use_cache=False).logits
            return output
        finally:
            self._stream = None


def said_of(logits: torch.Tensor, text: Text) -> Float64[np.ndarray, " token"]:
    """Log-probabilities of what is asked of a text, in nats, from the logits of every position."""
    at = logits[[position - 1 for position, _ in text.asked]].float()
    tokens = torch.tensor([token for _, token in text.asked], dtype=torch.int64)
    said = at.gather(1, tokens.to(at.device)[:, None])[:, 0] - torch.logsumexp(at, dim=1)
    found: np.ndarray = said.double().cpu().numpy()
    return found


class _EnoughError(Exception):
    """Raised at the layer whose input is wanted, to skip the rest of the pass."""


def blocks_of(bridge: Any) -> list[Any]:
    """The transformer blocks of the wrapped model, in their order."""
    n_layers = int(bridge.cfg.n_layers)
    for module in getattr(bridge.original_model, "base_model", bridge.original_model).modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    raise RequestError("this model has no list of blocks, so that no layer can be changed")


def stream_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """The residual stream among the arguments of a block."""
    stream: torch.Tensor = args[0] if args else kwargs["hidden_states"]
    return stream


def with_stream(
    args: tuple[Any, ...], kwargs: dict[str, Any], stream: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a block with another residual stream."""
    return ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})
