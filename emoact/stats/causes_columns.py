"""Columns of the tables about directions: contributions, and the logit lens."""

from __future__ import annotations

from emoact.measures import Columns

_UNIT = "model units"
_heads = Columns("heads")
_lens = Columns("lens")

MEASURES = (
    *_heads.estimate(
        "contrast",
        "Mean over the emotion's prompts minus mean over neutral ones of what the component adds "
        "along the unit direction",
        of="the 95 % interval of contrast over scenarios",
        stem="",
        unit=_UNIT,
        formula="pooled(component) · d / ‖d‖",
    ),
    _heads(
        "chance",
        "Mean of contrast over relabellings, with the direction made anew each time",
        unit=_UNIT,
    ),
    _heads(
        "p",
        "Permutation p-value of contrast, corrected for all components",
        source="Westfall & Young 1993",
    ),
    _lens("token_id", "Id of the token", kind="int"),
    _lens(
        "logit",
        "Logit of the token in the direction at a root mean square of 1, less the mean over the "
        "vocabulary",
    ),
    _lens(
        "random_95",
        "95th percentile of the logit at the same rank over random directions with the covariance "
        "of neutral prompts",
    ),
)
