"""Two saved analyses side by side: settings, files, verdicts and best layers."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from emoact.decode import encode
from emoact.models.registry import display_name
from emoact.numbers import MISSING, percent, plural, two
from emoact.views.analysed import Analysed, site_words
from emoact.views.direction_answer import EVALUATIONS, VERDICTS, best_layers
from emoact.views.text import listed
from emoact.views.theme import by_emotion

_PLACE = ["about", "what", "model", "emotion", "site"]
Entry = tuple[tuple[str, str, str, str, str], str]


def compared(one: Analysed, other: Analysed) -> pd.DataFrame:
    """One row for each setting, file, verdict and best layer, those that differ first.

    Models are matched by their folder. Where each analysis has one model and they are not the same,
    such as two configurations, these two are compared.
    """
    names = {}
    if len(one.saved.models) == len(other.saved.models) == 1:
        names = {other.saved.models[0]: one.saved.models[0]}
    left, right = dict(_entries(one, {})), dict(_entries(other, names))
    rows = pd.DataFrame(
        [
            (*place, left.get(place, MISSING), right.get(place, MISSING))
            for place in dict.fromkeys([*left, *right])
        ],
        columns=[*_PLACE, "first", "second"],
    )
    rows["compared"] = rows["first"].eq(rows["second"]).map({True: "same", False: "differs"})
    return rows.sort_values("compared", kind="stable", ignore_index=True)


def differences_sentence(rows: pd.DataFrame) -> str:
    """Number of settings, files, verdicts and best layers that differ."""
    parts = []
    for about in ("setting", "file", "verdict", "best layer"):
        own = rows[rows["about"] == about]
        if len(own):
            n = int(own["compared"].eq("differs").sum())
            parts.append(f"{n} of {plural(len(own), about)}")
    return f"Different are {listed(parts)}."


def _entries(source: Analysed, names: dict[str, str]) -> Iterator[Entry]:
    saved = source.saved
    for name, value in encode(saved.settings).items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield ("setting", name, "", "", ""), shown
    for each in saved.inputs:
        model = names.get(each.folder, each.folder)
        yield ("file", "SHA-256", display_name(model), each.emotion, ""), each.sha256[:12]
    for row in source.read("headline").to_dict("records"):
        model = display_name(names.get(row["model"], row["model"]))
        how, where = EVALUATIONS[row["evaluation"]], site_words(row["site"])
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        figure = percent(row["balanced_accuracy"])
        yield ("verdict", how, model, row["emotion"], where), f"{verdict}, accuracy {figure}"
    strength = source.read("strength")
    for (folder, site), own in strength.groupby(["model", "site"], sort=False):
        model = display_name(names.get(str(folder), str(folder)))
        for emotion, rows in by_emotion(own):
            best = best_layers(rows)
            said = (
                f"{int(best['layer'].iloc[0])} (AUROC {two(best['auroc'].iloc[0])})"
                if len(best)
                else "none"
            )
            yield ("best layer", "best layer", model, emotion, site_words(str(site))), said
