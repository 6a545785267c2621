"""Units of a request that are on disk, and what is in their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emoact.errors import EmoactError, RequestError, as_request_error
from emoact.files import is_there
from emoact.models.registry import split_configured
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions, Prompt
from emoact.store import manifest
from emoact.store.keys import differences, unit_configuration
from emoact.store.layout import ResultsRoot
from emoact.store.parts import Part


class InTheWayError(RequestError):
    """A file of another configuration lies where one that is asked for would go."""


def units_on_disk(
    root: ResultsRoot,
    source: ModelSource,
    prompts: Mapping[str, Sequence[Prompt]],
    *,
    options: ExtractionOptions,
    overwrite: bool,
    store: str = "pickle",
    others_at_work: bool = False,
) -> frozenset[str]:
    """The labels whose file is there with just this configuration, and will be left alone.

    Looks at sizes, not at hashes; the run itself looks at those. Where others are at work, it looks
    too at files that are not recorded.

    Raises:
        InTheWayError: A file of another configuration, or one that no run has recorded, is in the
            way; says what differs.
    """
    try:
        known = manifest.load(root)
    except EmoactError as error:
        raise as_request_error(error) from error
    there = set()
    for emotion, chosen in prompts.items():
        others = [] if overwrite else other_division(root, source.folder, emotion)
        if others:
            raise RequestError(
                f"{source.folder}: {others[0]} is in the way: of {Part.of(emotion).emotion!r}, "
                "another number of prompts was extracted there",
                remedy="Pass --overwrite to replace it, or choose another folder with --results.",
            )
        path = root.unit_path(source.folder, emotion)
        if not is_there(path):
            continue
        entry = known.get(root.unit_name(source.folder, emotion))
        asked = unit_configuration(source, chosen, options=options, store=store)
        differing: list[str] = []
        if entry is not None:
            saved = dict(entry.configuration)
            if asked["commit"] is None:
                # The commit of a model that has to be downloaded is not known yet.
                saved["commit"] = None
            differing = differences(saved, asked)
        if entry is not None and not differing:
            # A damaged file is computed again without a question.
            if path.stat().st_size == entry.size:
                there.add(emotion)
        elif not overwrite and not (entry is None and others_at_work):
            what = "; ".join(differing) or "no run of emoact is known to have written it"
            apart = options.label in ("", split_configured(source.folder)[1])
            both = "" if apart else f", put ~~{options.label} behind the model to keep both"
            raise InTheWayError(
                f"{path} is in the way: {what}",
                remedy=f"Pass --overwrite to replace it{both}, or choose another folder with "
                "--results.",
            )
    return frozenset(there)


def other_division(root: ResultsRoot, folder: str, label: str) -> list[str]:
    """Labels of files of the same emotion that is divided there into another number of parts."""
    part = Part.of(label)
    return [
        other
        for other in root.labels_of(folder, part.emotion)
        if Part.of(other).count != part.count
    ]
