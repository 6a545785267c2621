from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from emoact.views.analysed import Analysed
from emoact.views.chart import Chart
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios

STYLES = emotion_styles(["anger", "gratitude", "apology", "neutral", "<b>joy</b>"], "light")
Tables = dict[str, pd.DataFrame]


class Source(Analysed):
    """Tables without the files of an analysis."""

    def __init__(self, tables: Tables) -> None:
        object.__setattr__(self, "read", tables.__getitem__)


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Every table of two small models that were analysed together."""
    results = tmp_path_factory.mktemp("tables")
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", n_layers=4)
    saved = plant_analysis(results)
    return {name: saved.table(name) for name in saved.rows}


def draw(chart: Chart, **options: Any) -> Any:
    """The chart as plotly draws it on the light page, every field checked."""
    drawn = figure(chart, **{"styles": STYLES, "scheme": "light", **options})
    return go.Figure(drawn.to_dict())


def lines(drawn: Any) -> list[Any]:
    """Lines over data with a marker at every value."""
    return [t for t in drawn.data if t.mode == "lines+markers" and t.x[0] is not None]
