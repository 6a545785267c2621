"""Transfer to a folder that a stranger wrote: figures, or a refusal that names the reason."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.analysis.transfer import TransferRequest, compute_transfer
from emoact.cli import main
from emoact.errors import EmoactError
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles
from emoact.views.transfer import chart, of_site, sentences
from tests.support.planted_scenarios import LABELS, plant_scenarios

Unit = dict[str, Any]


def _values(value: float, *, samples: slice = slice(None)) -> Callable[[Unit], object]:
    def change(unit: Unit) -> None:
        for key in ("residual_stream", "mlp_output"):
            for layer in unit[key]:
                layer[samples] = [np.full_like(rows, value) for rows in layer[samples]]

    return change


def _prompts(**fields: Any) -> Callable[[Unit], object]:
    """Every prompt with these fields; a function of its number gives a value."""

    def change(unit: Unit) -> None:
        for number, prompt in enumerate(unit["metadata"]["prompts"]):
            prompt |= {k: v(number) if callable(v) else v for k, v in fields.items()}

    return change


def _provenance(**fields: Any) -> Callable[[Unit], object]:
    return lambda unit: unit["metadata"]["provenance"].update(fields)


def _fewer_layers(unit: Unit) -> None:
    for key in ("residual_stream", "mlp_output"):
        unit[key] = unit[key][:1]
    unit["metadata"]["n_layers"] = 1


def _narrower(unit: Unit) -> None:
    for key in ("residual_stream", "mlp_output"):
        unit[key] = [[np.ascontiguousarray(rows[:, :4]) for rows in layer] for layer in unit[key]]
    unit["metadata"]["d_model"] = 4


HOSTILE: dict[str, Callable[[Unit], object]] = {
    "not a number": _values(np.nan, samples=slice(0, 1)),
    "infinite": _values(np.inf),
    "the largest": _values(3e38),
    "the smallest": _values(1e-45),
    "nothing": _values(0.0),
    "fewer layers": _fewer_layers,
    "narrower": _narrower,
    "no prompts": lambda unit: unit["metadata"].pop("prompts"),
    "no texts": _prompts(text=""),
    "one text": _prompts(text="The same."),
    "a long text": _prompts(text=lambda n: "word " * 200_000 if n == 0 else f"Text {n}."),
    "texts of control characters": _prompts(text=lambda n: f"\x1b[2J\u202e{n}\u2066"),
    "markup": _prompts(text=lambda n: f"<img src=x> [a](https://evil.example) {n}", id="<b>"),
    "one id": _prompts(id="same"),
    "numbers for ids": _prompts(id=lambda n: 10**30 + n),
    "one scenario": _prompts(scenario_id="all"),
    "no scenarios": _prompts(scenario_id=None),
    "scenarios of lists": _prompts(scenario_id=lambda n: [n]),
    "scenarios of the first": _prompts(scenario_id=lambda n: f"s{n}"),
    "subsets of numbers": _prompts(subset=lambda n: n),
    "no provenance": lambda unit: unit["metadata"].update(provenance=None),
    "another revision": _provenance(revision="b" * 40),
    "a revision of a list": _provenance(revision=[1]),
    "a BOS of a list": _provenance(bos=[[1]]),
}

SHAPES = ("fewer layers", "narrower")
"""In every file: a folder of one shape, which is not that of the other folder."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    plant_scenarios(first, n=6, n_layers=2)
    plant_scenarios(second, n=6, n_layers=2, scenario="t{}".format, noun="bread")
    return first, second


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "every_file"),
    [
        *((name, False) for name in HOSTILE),
        *((name, True) for name in SHAPES),
        *(
            pytest.param(name, True, marks=pytest.mark.long)
            for name in sorted(HOSTILE.keys() - SHAPES)
        ),
    ],
)
def test_a_foreign_folder_gives_figures_or_a_refusal(
    folders: tuple[Path, Path], name: str, every_file: bool
) -> None:
    first, second = folders
    places = [second / "activations" / "gpt2" / f"activations_{label}.pkl" for label in LABELS]
    honest = {path: path.read_bytes() for path in places[: len(places) if every_file else 1]}
    try:
        for path, content in honest.items():
            # This is our own file.
            unit = pickle.loads(content)
            HOSTILE[name](unit)
            path.write_bytes(pickle.dumps(unit, protocol=5))
        found = compute_transfer(TransferRequest(source=str(first), target=str(second)))
    except EmoactError:
        assert main(["transfer", "--from", str(first), "--to", str(second)]) in (1, 2)
    else:
        drawn = of_site(found, "resid_pre")
        figure(chart(drawn), styles=emotion_styles(LABELS, "light"), scheme="light")
        assert all("](https" not in said for said in sentences(found, "resid_pre"))
    finally:
        for path, content in honest.items():
            path.write_bytes(content)
