"""One (model, emotion) as it is read from disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float32, Int64

from emoact.errors import RequestError
from emoact.positions import Pooling, Span, spans_from
from emoact.schema import MANTISSA_BITS, Finding
from emoact.sites import SiteName, site_names
from emoact.store.read.tokens import BFloat16Array, Leaf

COMPARED: tuple[str, ...] = (
    "schema_version",
    "model_name",
    "revision",
    "weight_source",
    "processing",
    "bos",
    "dtype",
    "dataset",
)
"""Fields of provenance that a comparison looks at."""

OF_PROMPTS = ("prompts", "content_spans", "response_spans", "responses")
"""Fields of metadata that have a value for each prompt."""

STATED: tuple[str, ...] = ("chat", "generation")
"""Compared fields that only some files have; without them nothing of the kind was done."""


def as_float32(values: Leaf) -> Float32[np.ndarray, "..."]:
    """Read-only float32 values: the view itself where it is float32, else a converted copy."""
    if isinstance(values, BFloat16Array):
        wide: np.ndarray[Any, np.dtype[Any]] = values.float32()
    elif values.dtype == np.float32 and values.dtype.isnative:
        wide = values.view()
    else:
        # A float64 beyond float32 becomes inf, which the check of values reports.
        with np.errstate(over="ignore"):
            wide = values.astype(np.float32)
    wide.flags.writeable = False
    return wide


if TYPE_CHECKING:
    _Arrays = Sequence[np.ndarray[Any, np.dtype[Any]]]
else:
    # Without the type of its items: a check of one of them would unpack it.
    _Arrays = Sequence


class Samples(_Arrays):
    """The arrays of one layer, one per sample."""

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[Leaf]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, sample: int) -> Float32[np.ndarray, "..."]: ...
    @overload
    def __getitem__(self, sample: slice) -> Samples: ...
    def __getitem__(self, sample: int | slice) -> Float32[np.ndarray, "..."] | Samples:
        if isinstance(sample, slice):
            return Samples(self._values[sample])
        return as_float32(self._values[sample])

    def __repr__(self) -> str:
        return f"Samples({len(self)})"


Layers = tuple[Samples, ...]
"""`layers[layer][sample]`; empty where the site was not saved."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Unit:
    """A file that keeps the contract; arrays are read-only views of the mapped file.

    Attributes:
        by_site: `[layer][sample]` of every site; empty where it was not saved.
        tokens: One int64 array [pos] per sample.
        token_strings: One tuple per sample.
        metadata: As in the file, unknown keys included.
        notes: Findings of the contract check that do not refuse the file.
        pooled: Readers of arrays `[prompt, layer, d]` by site and pooling, of all layers or of the
            one that is asked for, of a file that keeps no positions; empty for all others.
        parts: The units of its parts, where it has several files.
    """

    path: Path
    by_site: Mapping[SiteName, Layers]
    tokens: tuple[Int64[np.ndarray, "..."], ...]
    token_strings: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    metadata: Mapping[str, Any]
    notes: tuple[Finding, ...] = ()
    pooled: Mapping[tuple[SiteName, Pooling], Callable[..., np.ndarray]] = field(
        default_factory=dict
    )
    parts: tuple[Unit, ...] = ()

    def __repr__(self) -> str:
        """One line: a file of 50 samples has thousands of arrays."""
        return (
            f"Unit({self.folder}/{self.emotion}: {self.n_samples} samples, {self.n_layers} layers, "
            f"d_model {self.d_model}, {', '.join(self.sites)}, path={str(self.path)!r})"
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold it: one, or one for each part."""
        return tuple(part.path for part in self.parts) or (self.path,)

    @property
    def residual_stream(self) -> Layers:
        """Input of every layer, `[layer][sample]`, float32 `[pos, d_model]`."""
        return self.by_site["resid_pre"]

    @property
    def mlp_output(self) -> Layers:
        """Output of every layer's MLP, `[layer][sample]`, float32 `[pos, d_model]`."""
        return self.by_site["mlp_out"]

    @property
    def sites(self) -> tuple[SiteName, ...]:
        """The sites that the file has."""
        kept = {name for name, _ in self.pooled}
        return tuple(
            name for name in site_names() if name in kept or len(self.by_site.get(name, ()))
        )

    def site(self, site: SiteName) -> Layers:
        """`[layer][sample]` of a site; `RequestError` if the file does not have it."""
        if self.pooled:
            raise RequestError(
                f"{self.path} keeps pooled vectors only, and not every position",
                remedy="Extract the unit again with --keep all.",
            )
        if site not in self.sites:
            raise RequestError(
                f"{self.path}: {site} was not saved; the file has {', '.join(self.sites)}",
                remedy=f"Extract again with --site {site}.",
            )
        return self.by_site[site]

    @property
    def folder(self) -> str:
        """Name of the folder that holds the file: the model's short name or encoded id."""
        return self.path.parent.name

    @property
    def model_name(self) -> str:
        """The hub id."""
        return str(self.metadata["model_name"])

    @property
    def emotion(self) -> str:
        """The label of every sample in the file."""
        return str(self.metadata["emotion_label"])

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return int(self.metadata["n_layers"])

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.metadata["d_model"])

    @property
    def n_samples(self) -> int:
        """Prompts in the file."""
        return len(self.labels)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Positions of every sample."""
        return tuple(len(tokens) for tokens in self.tokens)

    @property
    def content_start(self) -> int:
        """First position that belongs to the prompt; 1 where the file does not say."""
        return int(self.metadata.get("content_start", 1))

    @property
    def content_spans(self) -> tuple[Span, ...] | None:
        """Positions of each prompt's text among others; None where it is all but the BOS."""
        return self._spans("content_spans")

    @property
    def content(self) -> tuple[Span, ...]:
        """Positions of each prompt's text; the rest is BOS, chat template or response."""
        return self.content_spans or spans_from(self.lengths, self.content_start)

    @property
    def response_spans(self) -> tuple[Span, ...] | None:
        """Positions that the model wrote behind each prompt; None where it was not asked to."""
        return self._spans("response_spans")

    def _spans(self, name: str) -> tuple[Span, ...] | None:
        spans = self.metadata.get(name)
        return None if spans is None else tuple((int(start), int(stop)) for start, stop in spans)

    @property
    def responses(self) -> tuple[str, ...] | None:
        """Text that the model wrote behind each prompt; None where it was not asked to."""
        texts = self.metadata.get("responses")
        return None if texts is None else tuple(map(str, texts))

    @property
    def prompt_tokens(self) -> tuple[Int64[np.ndarray, "..."], ...]:
        """Tokens of every sample, those of its response left out."""
        spans = self.response_spans or [(length, length) for length in self.lengths]
        return tuple(ids[:stop] for ids, (stop, _) in zip(self.tokens, spans, strict=True))

    @property
    def prompts(self) -> tuple[Mapping[str, Any], ...] | None:
        """One mapping per sample (id, scenario_id, subset, text, lang), or None without any."""
        return prompts_of(self.metadata, self.n_samples)

    def without_prompts(self) -> Unit:
        """The unit but for its prompts, tokens and strings, which may be very many."""
        kept = {name: value for name, value in self.metadata.items() if name not in OF_PROMPTS}
        return replace(self, tokens=(), token_strings=(), labels=(), metadata=kept)

    @property
    def provenance(self) -> Mapping[str, Any] | None:
        """Provenance of the file, or None."""
        found = self.metadata.get("provenance")
        return found if isinstance(found, Mapping) else None

    @property
    def configuration(self) -> Mapping[str, Any] | None:
        """Fields that must match before two files are compared, or None where they are unknown."""
        return configuration_of(self.provenance)

    @property
    def made(self) -> dict[str, Any]:
        """The configuration without the data set, in which units that are made alike may differ."""
        return {k: v for k, v in (self.configuration or {}).items() if k != "dataset"}

    @property
    def rounding(self) -> float:
        """Largest relative error of a value by the rounding of the file; 0 where all bits stay."""
        precision = (self.provenance or {}).get("precision", "lossless")
        return 0.0 if precision == "lossless" else 2.0 ** -(MANTISSA_BITS[precision] + 1)

    @property
    def random_weights(self) -> bool:
        """True when the model's weights are random."""
        return bool((self.provenance or {}).get("random_weights", False))


def missing_fields(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """The compared fields that a provenance does not have."""
    return tuple(field for field in COMPARED if field not in provenance)


def configuration_of(provenance: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The compared fields, or None where one of them is unknown.

    `bos` is the policy with its token, `dataset` the hash of the data set's file, and `revision`
    the commit that was loaded where it is known.
    """
    if provenance is None or missing_fields(provenance):
        return None
    chosen = {name: provenance[name] for name in COMPARED}
    chosen["revision"] = provenance.get("commit") or chosen["revision"]
    chosen |= {name: provenance[name] for name in STATED if name in provenance}
    if provenance.get("precision", "lossless") != "lossless":
        chosen["precision"] = provenance["precision"]
    dataset = chosen["dataset"]
    if isinstance(dataset, Mapping):
        chosen["dataset"] = dataset.get("sha256")
    return chosen


def prompts_of(metadata: Mapping[str, Any], n_samples: int) -> tuple[Mapping[str, Any], ...] | None:
    """One mapping with a `text` per sample, or None where the file has no such thing.

    A plain list of texts counts: other people's files have that.
    """
    found = metadata.get("prompts")
    if not isinstance(found, list | tuple) or len(found) != n_samples:
        return None
    prompts = tuple({"text": prompt} if isinstance(prompt, str) else prompt for prompt in found)
    for prompt in prompts:
        if not isinstance(prompt, Mapping) or not isinstance(prompt.get("text"), str):
            return None
        if not all(isinstance(name, str) for name in prompt):
            return None
    return prompts
