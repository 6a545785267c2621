"""Columns of the tables about directions: contributions, logit lens, attention by head."""

from __future__ import annotations

from emoact.measures import Measure

_UNIT = "model units"


def _column(table: str, name: str, definition: str, unit: str = "", **facts: str) -> Measure:
    return Measure(name=name, table=table, definition=definition, unit=unit, **facts)  # type: ignore[arg-type]


MEASURES: tuple[Measure, ...] = (
    _column(
        "heads",
        "contrast",
        "Mean over the emotion's prompts minus mean over neutral ones of what the component adds "
        "along the unit direction",
        _UNIT,
        formula="pooled(component) · d / ‖d‖",
    ),
    _column("heads", "low", "Lower end of the 95 % interval of contrast over scenarios", _UNIT),
    _column("heads", "high", "Upper end of the 95 % interval of contrast over scenarios", _UNIT),
    _column(
        "heads",
        "chance",
        "Mean of contrast over relabellings, with the direction made anew each time",
        _UNIT,
    ),
    _column(
        "heads",
        "p",
        "Permutation p-value of contrast, corrected for all components",
        source="Westfall & Young 1993",
    ),
    _column("lens", "token_id", "Id of the token", kind="int"),
    _column(
        "lens",
        "logit",
        "Logit of the token in the direction at a root mean square of 1, less the mean over the "
        "vocabulary",
    ),
    _column(
        "lens",
        "random_95",
        "95th percentile of the logit at the same rank over random directions with the covariance "
        "of neutral prompts",
    ),
)
