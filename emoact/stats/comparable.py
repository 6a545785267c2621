"""Comparability of units: the configuration of each file, and the fields that differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact.errors import RequestError

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Configuration of the activations of one unit; None where the file names none.

    Attributes:
        model: Hub id.
        processing: Weight processing.
        bos: BOS policy; where it is unknown, the first position that was taken for content.
        dtype: Number format of the forward pass.
        dataset: Hash of the data set's file.
        pooling: How positions became one vector.
        chat: Chat format, `none` without one.
        revision: Of the model; compared between units of the same model only.
        weight_source: Where the weights came from; compared likewise.
    """

    model: str
    processing: str | None = None
    bos: str | None = None
    dtype: str | None = None
    dataset: str | None = None
    pooling: str | None = None
    chat: str | None = None
    revision: str | None = None
    weight_source: str | None = None

    @classmethod
    def from_provenance(
        cls,
        model: str,
        provenance: Mapping[str, Any] | None,
        *,
        pooling: str,
        content_start: int | None = None,
    ) -> Configuration:
        """The configuration that a unit's provenance states; unknown fields stay None.

        Args:
            model: Name that tables show.
            provenance: Of the unit.
            pooling: How positions became one vector.
            content_start: First position that counts as content: all that a file without
                provenance names its BOS policy.

        Raises:
            RequestError: `last_template` is asked for and the unit has no chat template.
        """
        known = provenance or {}
        chat = known.get("chat")
        if pooling == "last_template" and chat is None:
            raise RequestError(
                f"pooling is last_template, and the files of {model} have no chat template "
                "(field chat)",
                remedy="Take --pooling last, or extract them with --chat template.",
            )
        bos, dataset = known.get("bos"), known.get("dataset")
        policy = _text(bos.get("policy") if isinstance(bos, Mapping) else bos)
        if policy is None and content_start is not None:
            policy = f"{UNKNOWN}, content from position {content_start}"
        return cls(
            model=model,
            processing=_text(known.get("processing")),
            bos=policy,
            dtype=_text(known.get("dtype")),
            dataset=_text(dataset.get("sha256") if isinstance(dataset, Mapping) else dataset),
            pooling=pooling,
            chat=None if provenance is None else _chat(chat),
            revision=_text(known.get("revision")),
            weight_source=_text(known.get("weight_source")),
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field in which the units of one comparison are not the same.

    Attributes:
        field: Name in `Configuration`, or `site`.
        values: Each value with the units that have it.
        model: The model whose own units differ; None for a field that all must share.
    """

    field: str
    values: Mapping[str, tuple[str, ...]]
    model: str | None = None

    def __str__(self) -> str:
        shown = "; ".join(
            f"{value} ({', '.join(units[:3])}{' ...' if len(units) > 3 else ''})"
            for value, units in self.values.items()
        )
        return f"{self.field} differs{f' within {self.model}' if self.model else ''}: {shown}"


_SHARED = ("processing", "bos", "dtype", "dataset", "pooling", "chat")
_PER_MODEL = ("revision", "weight_source")


def differing_fields(configurations: Mapping[str, Configuration]) -> list[Difference]:
    """The fields in which the units differ; none when they may be compared.

    Args:
        configurations: By the name of the unit that messages should show.
    """
    differences = [
        difference
        for field in _SHARED
        if (difference := _difference(field, configurations)) is not None
    ]
    for model in dict.fromkeys(c.model for c in configurations.values()):
        own = {name: c for name, c in configurations.items() if c.model == model}
        for field in _PER_MODEL:
            found = _difference(field, own)
            if found is not None:
                differences.append(dataclasses.replace(found, model=model))
    return differences


def differing_sites(sites: Mapping[str, Sequence[str]]) -> Difference | None:
    """The difference where not every unit holds the same sites."""
    values: dict[str, tuple[str, ...]] = {}
    for unit, held in sites.items():
        key = ", ".join(sorted(held))
        values[key] = (*values.get(key, ()), unit)
    return Difference(field="site", values=values) if len(values) > 1 else None


def check_comparable(
    configurations: Mapping[str, Configuration], *, override: bool = False
) -> tuple[Difference, ...]:
    """Refuse a comparison that would mix configurations.

    Returns:
        What differs: nothing, unless `override` lets the comparison pass. Every chart and export of
        it then carries these differences as a badge.

    Raises:
        RequestError: The units differ and `override` is not set.
    """
    differences = tuple(differing_fields(configurations))
    if differences and not override:
        raise RequestError(
            "these activations were not made alike: " + "; ".join(str(d) for d in differences),
            remedy="Extract them again with one configuration, choose units that agree, "
            "or allow the mixture (--allow-mixed), which marks every chart and table.",
        )
    return differences


def _difference(field: str, configurations: Mapping[str, Configuration]) -> Difference | None:
    values: dict[str, tuple[str, ...]] = {}
    for unit, configuration in configurations.items():
        value = getattr(configuration, field)
        shown = UNKNOWN if value is None else str(value)
        values[shown] = (*values.get(shown, ()), unit)
    return Difference(field=field, values=values) if len(values) > 1 else None


def _chat(words: object) -> str:
    if not isinstance(words, Mapping):
        return "none"
    said = [f"{name} {text!r:.60}" for name, text in words.items() if name != "format"]
    return ", ".join(["template", *said])


def _text(value: object) -> str | None:
    return None if value is None else str(value)
