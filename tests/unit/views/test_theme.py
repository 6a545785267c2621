import itertools
from typing import get_args

import numpy as np
import pytest

from emoact.views.theme import INK, Scheme, dressed, emotion_order, emotion_styles, plain

REPORT = ("gratitude", "anger", "apology", "neutral")
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
PAGE = {"light": "#FFFFFF", "dark": "#14171B"}

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = to_xyz @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    dark, light = sorted(float(weights @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_the_four_emotions_stay_apart_for_every_kind_of_sight(scheme: Scheme, sight: str) -> None:
    styles = emotion_styles(REPORT, scheme)
    seen = {name: cielab(SIGHTS[sight] @ linear(style.colour)) for name, style in styles.items()}
    distances = {
        (a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(seen, 2)
    }
    assert min(distances.values()) >= 25, distances


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_line_and_every_word_can_be_told_from_the_page(scheme: Scheme) -> None:
    labels = [*REPORT, *(f"label{number}" for number in range(6))]
    for name, style in emotion_styles(labels, scheme).items():
        assert contrast(style.colour, PAGE[scheme]) >= 3, name
    ink = INK[scheme]
    for colour in (ink.text, ink.muted):
        assert contrast(colour, PAGE[scheme]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_two_labels_share_colour_and_marker(scheme: Scheme) -> None:
    labels = [*REPORT, *(f"label{number:02d}" for number in range(20))]
    styles = emotion_styles(labels, scheme)
    assert len({(style.colour, style.symbol) for style in styles.values()}) == len(labels)


def test_the_four_keep_their_style_whatever_else_is_there() -> None:
    alone = emotion_styles(["anger"], "light")["anger"]
    among = emotion_styles(["zeal", "awe", "neutral", "anger"], "light")["anger"]
    assert alone == among


def test_neutral_comes_last_and_is_grey() -> None:
    assert emotion_order(["neutral", "zeal", "apology", "anger", "anger"]) == [
        "anger",
        "apology",
        "zeal",
        "neutral",
    ]
    red, green, blue = linear(emotion_styles(["neutral"], "light")["neutral"].colour)
    assert max(red, green, blue) - min(red, green, blue) < 0.06


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_figure_leaves_the_page_behind_it_visible_and_has_no_template(scheme: Scheme) -> None:
    drawn = [dressed([{"type": "scatter", "y": y}], {"xaxis": {"title": {"text": "layer"}}}, scheme)
             for y in ([1], [1], [2])]  # fmt: skip
    layout = drawn[0].layout
    # Plotly draws a copy of a chart again unless this is the same, and no other chart may have it.
    same, copy, other = (each.layout.datarevision for each in drawn)
    assert same == copy != other
    assert layout.template.to_plotly_json() == {}
    assert (layout.xaxis.title.text, layout.xaxis.title.standoff) == ("layer", 8)
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.color == INK[scheme].text


def test_markup_in_a_label_stays_text() -> None:
    assert plain("<b>a</b> & <a href='x'>") == "&lt;b&gt;a&lt;/b&gt; &amp; &lt;a href='x'&gt;"
