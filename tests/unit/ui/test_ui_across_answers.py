from __future__ import annotations

import pandas as pd
import pytest

from emoact.ui import across_answers


def rows(score_corr: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_a": "gpt2",
            "model_b": "pythia-160m",
            "site": "resid_pre",
            "emotion": "anger",
            "score_corr": score_corr,
            "score_corr_raw": 0.12,
            "score_corr_p_max": 0.5,
        }
    )


@pytest.mark.parametrize(
    ("score_corr", "said"),
    [
        ([0.2, 0.4, 0.6], "anger 0.40 (0.12 before correction"),
        ([1.0, 1.1, 1.2], "anger 1.10 (0.12 before correction"),
        ([1.7, 1.8, 1.9], "anger no value, its reliability is near 0 (0.12 before correction"),
        ([-1.9, -1.8], "anger no value, its reliability is near 0 (0.12 before correction"),
        ([float("nan")] * 2, "anger – (0.12 before correction"),
    ],
)
def test_a_correction_by_almost_nothing_is_no_figure(score_corr: list[float], said: str) -> None:
    assert said in across_answers.scores_sentence(rows(score_corr))
