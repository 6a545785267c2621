"""Check of a value against the pickle contract of emoact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoact import sites
from emoact.positions import Span, spans_from
from emoact.schema import Finding
from emoact.store.metadata_checks import REPAIR, Findings, check_metadata, integer
from emoact.store.read.tokens import BFloat16Array
from emoact.store.unit import Unit

_FLOATS = frozenset({"float16", "float32", "float64", "bfloat16"})
_INTEGERS = frozenset("iu")


def check_contract(payload: object) -> list[Finding]:
    """Errors, warnings and notes about a value of `load_closed`; reads no array's content."""
    findings = Findings()
    if not isinstance(payload, dict):
        findings.error("not_a_dict", "", "the pickle holds no dict")
        return list(findings)
    metadata = check_metadata(payload.get("metadata"), findings)
    if metadata is None:
        return list(findings)
    _check_labels(payload, metadata, findings)
    lengths = _check_tokens(payload, metadata, findings)
    if lengths:
        geometry = _Geometry(
            n_layers=int(metadata["n_layers"]), d_model=int(metadata["d_model"]), lengths=lengths
        )
        _check_sites(payload, metadata, geometry, findings)
        _check_content(metadata, lengths, findings)
    known = {"tokens", "token_strings", "labels", "metadata", *(site.key for site in sites.SITES)}
    unknown = [key for key in payload if key not in known]
    if unknown:
        named = ", ".join(f"{key!s:.40}" for key in unknown[:5])
        findings.note("unknown_keys", named, "keys beyond the contract; they are ignored")
    return list(findings)


def _check_sites(
    payload: Mapping[Any, Any], metadata: Mapping[str, Any], geometry: _Geometry, findings: Findings
) -> None:
    saved = 0
    for site in sites.SITES:
        value = payload.get(site.key)
        present = has_values(value)
        saved += present
        _check_flag(site, present, metadata, findings)
        if present:
            _check_site(site, value, geometry, findings)
    if not saved:
        findings.error("no_activations", "residual_stream", "there are no activations")
    named = metadata.get("sites")
    if isinstance(named, list | tuple):
        for site in sites.SITES:
            if (site.name in named) != has_values(payload.get(site.key)):
                findings.error(
                    "sites_differ", site.key, f"metadata.sites is {list(named)}, the file differs"
                )


def has_values(value: object) -> bool:
    """True when a key of the pickle holds arrays; without them it may hold None, [] or [[], []]."""
    if isinstance(value, list | tuple):
        return any(not isinstance(layer, list | tuple | None) or layer for layer in value)
    return value is not None


def _check_flag(
    site: sites.Site, present: bool, metadata: Mapping[str, Any], findings: Findings
) -> None:
    said, where = metadata.get(site.flag or ""), f"metadata.{site.flag}"
    if not site.flag or not isinstance(said, bool | np.bool_) or bool(said) == present:
        return
    if present:
        findings.warning("flag", where, f"it is False, but {site.key} is there")
    elif site.is_saved:
        findings.error("flag", where, f"it is True, but {site.key} is missing")
    else:
        # Other people's files say "attention" of any output of attention, patterns or not.
        findings.warning("flag", where, f"it is True, but {site.key} is missing", REPAIR)


def _check_content(
    metadata: Mapping[str, Any], lengths: tuple[int, ...], findings: Findings
) -> None:
    content = spans_from(lengths, integer(metadata.get("content_start", 1)) or 0)
    for name in ("content_spans", "response_spans"):
        if metadata.get(name) is not None and not _are_spans(metadata[name], lengths):
            needed = f"{len(lengths):,} pairs of positions are needed, each within its prompt"
            findings.error(name, f"metadata.{name}", needed)
            return
    if metadata.get("content_spans") is not None:
        content = tuple((start, stop) for start, stop in metadata["content_spans"])
    _check_responses(metadata, content, findings)
    for sample, (start, stop) in enumerate(content):
        if stop <= start:
            there = f"{lengths[sample]} position(s), content starts at {start}"
            findings.warning(
                "no_content", f"tokens[{sample}]", f"{there}: nothing is left to look at"
            )


def _check_responses(
    metadata: Mapping[str, Any], content: Sequence[Span], findings: Findings
) -> None:
    spans, texts = metadata.get("response_spans"), metadata.get("responses")
    if spans is None and texts is None:
        return
    if (
        spans is None
        or not isinstance(texts, list | tuple)
        or not all(isinstance(text, str) for text in texts)
        or len(texts) != len(spans)
    ):
        needed = f"{len(content):,} texts are needed, and metadata.response_spans with them"
        findings.error("responses", "metadata.responses", needed)
        return
    for sample, ((_, stop), (first, end)) in enumerate(zip(content, spans, strict=True)):
        if not stop <= first < end:
            needed = f"positions behind the text, which ends at {stop}, are needed"
            where = f"metadata.response_spans[{sample}]"
            findings.error("response_spans", where, f"it is {first} to {end}; {needed}")


def _are_spans(spans: object, lengths: tuple[int, ...]) -> bool:
    return (
        isinstance(spans, list | tuple)
        and len(spans) == len(lengths)
        and all(
            isinstance(span, list | tuple)
            and len(span) == 2
            and all(integer(each) is not None for each in span)
            and 0 <= span[0] <= span[1] <= length
            for span, length in zip(spans, lengths, strict=True)
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Geometry:
    """Sizes that every array is checked against. `lengths`: positions of every sample."""

    n_layers: int
    d_model: int
    lengths: tuple[int, ...]


def token_array(value: object) -> np.ndarray[Any, np.dtype[Any]] | None:
    """Token ids as int64 `[pos]`, from an array, a one-row array or a list; None if neither."""
    if isinstance(value, list | tuple):
        if not all(type(item) is int and -(1 << 63) <= item < 1 << 63 for item in value):
            return None
        return np.array(value, dtype=np.int64)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _INTEGERS:
        return None
    row: np.ndarray[Any, np.dtype[Any]] = (
        value[0] if value.ndim == 2 and value.shape[0] == 1 else value
    )
    return row.astype(np.int64, copy=False) if row.ndim == 1 else None


def _check_tokens(
    payload: dict[Any, Any], metadata: Mapping[str, Any], findings: Findings
) -> tuple[int, ...]:
    """Positions of every sample by its tokens; empty where they cannot be used."""
    n_samples = int(metadata["n_samples"])
    vocabulary = integer(metadata.get("d_vocab")) or 1 << 62
    tokens = _listed(payload, "tokens", n_samples, findings)
    strings = _listed(payload, "token_strings", n_samples, findings)
    if tokens is None or strings is None:
        return ()
    lengths = []
    for sample, (value, texts) in enumerate(zip(tokens, strings, strict=True)):
        ids, where = token_array(value), f"tokens[{sample}]"
        if ids is None or not ids.size:
            findings.error("tokens", where, "integers of shape [pos] are needed")
            return ()
        lengths.append(ids.size)
        if ids.min() < 0 or ids.max() >= vocabulary:
            findings.warning("token_range", where, f"an id is outside 0 to {vocabulary - 1:,}")
        if isinstance(value, np.ndarray) and value.ndim == 2:
            findings.note("tokens_row", where, "it is [1, pos] instead of [pos]")
        where = f"token_strings[{sample}]"
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            findings.error("token_strings", where, "a list of str is needed")
        elif len(texts) != ids.size:
            said = f"{len(texts):,} strings for {ids.size:,} tokens"
            findings.error("token_strings", where, said)
    return tuple(lengths)


def _check_labels(payload: dict[Any, Any], metadata: Mapping[str, Any], findings: Findings) -> None:
    labels = _listed(payload, "labels", int(metadata["n_samples"]), findings)
    for sample, label in enumerate(labels or ()):
        where = f"labels[{sample}]"
        if not isinstance(label, str):
            findings.error("labels", where, "a str is needed")
        elif label != metadata["emotion_label"]:
            said = f"it is not {metadata['emotion_label']!r} as metadata says"
            findings.warning("labels_differ", where, said)


def _listed(
    payload: dict[Any, Any], key: str, n_samples: int, findings: Findings
) -> Sequence[Any] | None:
    found = payload.get(key)
    if isinstance(found, np.ndarray) and found.ndim == 1 and found.dtype.kind == "U":
        found = found.tolist()
    if not isinstance(found, list | tuple):
        findings.error(key, key, "a list with one entry per sample is needed")
        return None
    if len(found) != n_samples:
        findings.error(key, key, f"{len(found):,} entries; metadata.n_samples is {n_samples:,}")
        return None
    return found


def _check_site(site: sites.Site, value: object, geometry: _Geometry, findings: Findings) -> None:
    """Check the arrays of a site, `[layer][sample]`, or `[sample]` where it has one layer."""
    if site.layers == "last":
        _check_samples(site.key, value, site, geometry, findings)
        return
    if not isinstance(value, list | tuple) or len(value) != geometry.n_layers:
        findings.error("layers", site.key, f"a list of {geometry.n_layers} layers is needed")
        return
    for layer, samples in enumerate(value):
        _check_samples(f"{site.key}[{layer}]", samples, site, geometry, findings)


def _check_samples(
    where: str, value: object, site: sites.Site, geometry: _Geometry, findings: Findings
) -> None:
    n_samples = len(geometry.lengths)
    samples: Sequence[Any] = value if isinstance(value, list | tuple) else ()
    if len(samples) != n_samples:
        said = f"{len(samples):,} entries" if samples is value else "no list"
        findings.error("samples", where, f"{said}; {n_samples:,} samples are needed")
        return
    # A file does not say how many heads there are, or how wide: the first array of a layer does.
    found = getattr(samples[0], "shape", ())
    sizes = {"head": 1, "d_head": 1, **dict(zip(site.shape.split(), found, strict=False))}
    shapes = {
        length: site.array_shape(
            length, d_model=geometry.d_model, n_heads=sizes["head"], d_head=sizes["d_head"]
        )
        for length in set(geometry.lengths)
    }
    for sample, (array, length) in enumerate(zip(samples, geometry.lengths, strict=True)):
        usual = type(array) is np.ndarray and array.dtype == np.float32
        if not usual or array.shape != shapes[length] or not array.flags.c_contiguous:
            _describe(f"{where}[{sample}]", array, shapes[length], findings)


def _describe(where: str, array: object, shape: tuple[int, ...], findings: Findings) -> None:
    if not isinstance(array, np.ndarray | BFloat16Array):
        findings.error("not_an_array", where, "an array of floats is needed")
        return
    dtype = "bfloat16" if isinstance(array, BFloat16Array) else array.dtype.name
    if dtype not in _FLOATS:
        findings.error("dtype", where, f"dtype {dtype}; float32 is needed")
        return
    if array.shape != shape:
        findings.error("shape", where, f"shape {array.shape}; {shape} is needed")
        return
    if dtype != "float32":
        findings.note(f"stored_as_{dtype}", where, f"{dtype}; it is read as float32")
    contiguous = array.bits if isinstance(array, BFloat16Array) else array
    if not contiguous.flags.c_contiguous:
        findings.note("not_contiguous", where, "the array is not C-contiguous in the file")


def check_finite(unit: Unit) -> list[Finding]:
    """Warnings about NaN and infinite values, one per site; reads every array."""
    findings = Findings()
    for site in unit.sites:
        for layer, samples in enumerate(unit.by_site[site]):
            for sample, array in enumerate(samples):
                bad = array.size - int(np.isfinite(array).sum())
                if bad:
                    findings.warning(
                        f"not_finite_{site}",
                        f"{sites.site(site).key}[{layer}][{sample}]",
                        f"{bad:,} of {array.size:,} values are NaN or infinite",
                        "Extract the unit again in float32, or leave the sample out.",
                    )
    return list(findings)
