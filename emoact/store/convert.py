"""One unit from one format into another, values and metadata kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from emoact import sites
from emoact.errors import RequestError
from emoact.schema import MANTISSA_BITS, Precision
from emoact.sites import SiteName
from emoact.store.keys import stored_key
from emoact.store.protocol import Store, Written, find_store, unit_file_name
from emoact.store.reading import read
from emoact.store.shard import ShardLayout
from emoact.store.unit import Unit


def convert(
    source: str | os.PathLike[str],
    *,
    to: str,
    out: str | os.PathLike[str],
    precision: Precision | None = None,
) -> Written:
    """Write a unit's file in another format.

    From a lossless file comes just the file that the run would have written in that format. A
    rounded file stays rounded: its precision remains in the provenance, and its unit key is not
    that of a run that keeps every bit. The new file must not be there yet; without `precision` it
    has the rounding of the source.

    Raises:
        FileRefusedError: The source cannot be trusted, or does not keep the contract.
        RequestError: The target exists or has another ending, or the precision is finer than that
            of the source.
        EmoactError: The file could not be written, or its metadata hold other than plain values.
    """
    store, target = find_store(to), Path(out)
    if not target.name.endswith(store.suffix):
        raise RequestError(
            f"{target} does not end in {store.suffix}, by which a {store.name} file is known",
            remedy=f"Call it {unit_file_name('LABEL', store.suffix)}.",
        )
    if os.path.lexists(target):
        raise RequestError(
            f"{target} is there already", remedy="Remove it, or give another name with --out."
        )
    unit = read(source)
    if unit.pooled:
        raise RequestError(
            f"{source} keeps pooled vectors only; no other format can be made of them",
            remedy="Extract the unit again with --keep all.",
        )
    wide = [note for note in unit.notes if note.code == "stored_as_float64"]
    if wide:
        raise RequestError(
            f"{unit.path}: {wide[0].where} is float64; files of emoact hold float32, so that "
            "converting it would change values",
            remedy="Save it as float32 first, if that is exact enough.",
        )
    held = precision_in(unit)
    asked = held if precision is None else precision
    if MANTISSA_BITS[asked] > MANTISSA_BITS[held]:
        raise RequestError(
            f"{source} is rounded ({held}), which cannot be undone",
            remedy=f"Leave out --precision, or extract the unit again to have it {asked}.",
        )
    if asked != held and asked not in store.precisions:
        raise RequestError(
            f"the store {store.name} cannot round to {asked}", remedy="Leave out --precision."
        )
    return write_as(store, target, unit, asked)


def write_as(store: Store, target: Path, unit: Unit, precision: Precision) -> Written:
    """Write a unit into a new file of a store."""
    return store.write(
        target,
        shard=UnitArrays(unit),
        tokens=list(unit.tokens),
        token_strings=[list(strings) for strings in unit.token_strings],
        labels=list(unit.labels),
        metadata=metadata_for(unit.metadata, to=store.name, precision=precision),
    )


def precision_in(unit: Unit) -> Precision:
    """Rounding of a unit's values, as its provenance states it."""
    stated = (unit.provenance or {}).get("precision")
    return next((name for name in MANTISSA_BITS if name == stated), "lossless")


class UnitArrays:
    """The arrays of a unit as a store's `write` reads them."""

    def __init__(self, unit: Unit) -> None:
        self._layers = {name: unit.site(name) for name in unit.sites}
        sizes = dict[str, int]()
        for name, layers in self._layers.items():
            dimensions = sites.site(name).shape.split()
            sizes |= dict(zip(dimensions, layers[0][0].shape, strict=True))
        self.layout = ShardLayout(
            sites=tuple(self._layers),
            n_layers=unit.n_layers,
            d_model=unit.d_model,
            lengths=unit.lengths,
            n_heads=sizes.get("head"),
            d_head=sizes.get("d_head"),
        )

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array."""
        layers = self._layers[site]
        # A site of the last layer has that one alone.
        return np.ascontiguousarray(layers[layer - self.layout.n_layers + len(layers)][sample])


def metadata_for(metadata: Mapping[str, Any], *, to: str, precision: Precision) -> dict[str, Any]:
    """Metadata of a unit in another form; its provenance says form and key."""
    made = metadata.get("provenance")
    if not isinstance(made, Mapping):
        rounded = {} if precision == "lossless" else {"provenance": {"precision": precision}}
        return {**metadata, **rounded}
    key = made.get("pickle_key", made.get("unit_key"))
    form: dict[str, Any] = {}
    if to != "pickle" or precision != "lossless":
        form = {"precision": precision, "pickle_key": key}
    if isinstance(key, str):
        form["unit_key"] = stored_key(key, {"store": to, "precision": precision} if form else {})
    provenance: dict[str, Any] = {}
    for name, value in made.items():
        if name == "unit_key":
            provenance |= form
        elif name not in ("precision", "pickle_key"):
            provenance[name] = value
    return {**metadata, "provenance": {**provenance, **form}}
