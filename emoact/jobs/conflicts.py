"""Files that are where a run would put its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emoact.errors import EmoactError, RequestError
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions, Prompt
from emoact.store import manifest
from emoact.store.configuration import unit_configuration
from emoact.store.keys import differences
from emoact.store.layout import ResultsRoot


def units_on_disk(
    root: ResultsRoot,
    source: ModelSource,
    prompts: Mapping[str, Sequence[Prompt]],
    *,
    options: ExtractionOptions,
    overwrite: bool,
    store: str = "pickle",
) -> frozenset[str]:
    """The emotions whose file is there with just this configuration, and will be left alone.

    Looks at sizes, not at hashes; the run itself looks at those.

    Raises:
        RequestError: A file of another configuration, or of nobody's, is in the way; says what
            differs.
    """
    try:
        known = manifest.load(root).units
    except EmoactError as error:
        raise RequestError(error.message, remedy=error.remedy) from error
    there = set()
    for emotion, chosen in prompts.items():
        path = root.unit_path(source.folder, emotion)
        if not path.exists():
            continue
        entry = known.get(root.unit_name(source.folder, emotion))
        asked = unit_configuration(
            model_name=source.model_name,
            revision=source.revision,
            commit=source.commit,
            weight_source=source.weight_source,
            options=options,
            prompts=chosen,
            store=store,
        )
        differing = [] if entry is None else _differences(entry.configuration, asked)
        if entry is not None and not differing:
            # A damaged file is computed again without a question.
            if path.stat().st_size == entry.size:
                there.add(emotion)
        elif not overwrite:
            what = "; ".join(differing) or "no run of emoact is known to have written it"
            raise RequestError(
                f"{path} is in the way: {what}",
                remedy="Pass --overwrite to replace it, or choose another folder with --results.",
            )
    return frozenset(there)


def _differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    # The commit of a model that has to be downloaded is not known yet.
    ignored = () if asked["commit"] is not None else ("commit",)
    return differences(
        {key: saved[key] for key in saved if key not in ignored},
        {key: asked[key] for key in asked if key not in ignored},
    )
