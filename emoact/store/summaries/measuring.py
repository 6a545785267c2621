"""The measures of one unit, from its file."""

from __future__ import annotations

import os

from emoact import sites as known
from emoact.schema import Site
from emoact.store.reading import read
from emoact.store.summaries.measures import SiteMeasures, UnitMeasures, measure_site, measure_steps


def measure_file(path: str | os.PathLike[str]) -> UnitMeasures:
    """Everything that pages need of a unit; its arrays are in memory.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    unit = read(path)
    lengths, start = unit.lengths, unit.content_start
    sites: dict[Site, SiteMeasures] = {
        site: measure_site(unit.site(site), lengths=lengths, content_start=start)
        for site in unit.sites
        if known.site(site).has_vectors
    }
    both = {"resid_pre", "mlp_out"} <= set(sites) and unit.n_layers > 1 and unit.n_samples
    provenance, configuration = unit.provenance, unit.configuration
    return UnitMeasures(
        folder=unit.folder,
        emotion=unit.emotion,
        model_name=unit.model_name,
        n_layers=unit.n_layers,
        d_model=unit.d_model,
        content_start=start,
        lengths=lengths,
        token_strings=unit.token_strings,
        prompts=unit.prompts,
        configuration=None if configuration is None else dict(configuration),
        provenance=None if provenance is None else dict(provenance),
        random_weights=unit.random_weights,
        notes=tuple(note.message for note in unit.notes),
        saved_sites=unit.sites,
        sites=sites,
        steps=measure_steps(unit.residual_stream, unit.mlp_output) if both else {},
    )
