"""Comparability of units: the configuration of each file, and the fields that differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emoact.errors import RequestError
from emoact.store.unit import Unit

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Configuration of the activations of one unit; None where the file names none.

    Attributes:
        bos: BOS policy; where it is unknown, the first position that was taken for content.
        dtype: Number format of the forward pass.
        dataset: Hash of the data set's file.
        pooling: How positions became one vector.
        chat: Chat format, `none` without one.
        generation: Choice of the tokens of a response, `none` without one.
        precision: Rounding of the values in the files.
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
    generation: str | None = None
    precision: str | None = None
    revision: str | None = None
    weight_source: str | None = None

    @classmethod
    def of(cls, unit: Unit, *, model: str, pooling: str) -> Configuration:
        """The configuration that a unit's provenance states; unknown fields stay None.

        Args:
            unit: Without provenance, its first content position stands for its BOS policy.
            model: Name that tables show.
            pooling: How positions became one vector.

        Raises:
            RequestError: `last_template` is asked for and the unit has no chat template, or
                `mean_response` and it has no responses.
        """
        known = unit.provenance or {}
        chat = known.get("chat")
        if pooling == "last_template" and chat is None:
            raise RequestError(
                f"pooling is last_template, and the files of {model} have no chat template "
                "(field chat)",
                remedy="Take --pooling last, or extract them with --chat template.",
            )
        if pooling == "mean_response" and known.get("generation") is None:
            raise RequestError(
                f"pooling is mean_response, and the files of {model} have no responses "
                "(field generation)",
                remedy="Take another --pooling, or extract them with --generate.",
            )
        bos, dataset = known.get("bos"), known.get("dataset")
        policy = _text(bos.get("policy") if isinstance(bos, Mapping) else bos)
        if policy is None:
            policy = f"{UNKNOWN}, content from position {unit.content_start}"
        return cls(
            model=model,
            processing=_text(known.get("processing")),
            bos=policy,
            dtype=_text(known.get("dtype")),
            dataset=_text(dataset.get("sha256") if isinstance(dataset, Mapping) else dataset),
            pooling=pooling,
            chat=None if unit.provenance is None else _chat(chat),
            generation=None if unit.provenance is None else _generation(known.get("generation")),
            precision=None
            if unit.provenance is None
            else _text(known.get("precision", "lossless")),
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


_SHARED = ("processing", "bos", "dtype", "dataset", "pooling", "chat", "generation", "precision")
_PER_MODEL = ("revision", "weight_source")


def differing_fields(configurations: Mapping[str, Configuration]) -> list[Difference]:
    """The fields in which units, named as in messages, differ; none when they may be compared."""
    models = dict.fromkeys(each.model for each in configurations.values())
    asked: list[tuple[str, str | None]] = [(field, None) for field in _SHARED]
    asked += [(field, model) for model in models for field in _PER_MODEL]
    differences = []
    for field, model in asked:
        values = {
            unit: getattr(each, field)
            for unit, each in configurations.items()
            if model in (None, each.model)
        }
        found = _difference(field, {u: UNKNOWN if v is None else str(v) for u, v in values.items()})
        if found is not None:
            differences.append(dataclasses.replace(found, model=model))
    return differences


def differing_sites(sites: Mapping[str, Sequence[str]]) -> Difference | None:
    """The difference where not every unit holds the same sites."""
    return _difference("site", {unit: ", ".join(sorted(held)) for unit, held in sites.items()})


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


def _difference(field: str, shown: Mapping[str, str]) -> Difference | None:
    """Units by the value that each of them shows, where there are two values or more."""
    values: dict[str, tuple[str, ...]] = {}
    for unit, value in shown.items():
        values[value] = (*values.get(value, ()), unit)
    return Difference(field=field, values=values) if len(values) > 1 else None


def _chat(words: object) -> str:
    if not isinstance(words, Mapping):
        return "none"
    said = [f"{name} {text!r:.60}" for name, text in words.items() if name != "format"]
    return ", ".join(["template", *said])


def _generation(words: object) -> str:
    if not isinstance(words, Mapping):
        return "none"
    return ", ".join(f"{name} {value}" for name, value in words.items())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
