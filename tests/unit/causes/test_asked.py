"""Questions about causes and the options of their commands say the same."""

from typing import Any

import pytest

from emoact.causes.ablate import ABLATE, AblateRequest
from emoact.causes.asked import given, words_of
from emoact.causes.chosen import CauseRequest
from emoact.causes.contributions import ContrastSettings, Target
from emoact.causes.heads import HEADS, HeadsRequest
from emoact.causes.lens import LENS, LensRequest, LensSettings
from emoact.causes.patterns import PATTERNS, PatternsRequest
from emoact.causes.prepared import Kind
from emoact.causes.project import PROJECT, ProjectRequest
from emoact.causes.settings import AblateSettings, SteerSettings
from emoact.causes.steer import STEER, SteerRequest
from emoact.cli.entry import build_parser

PLACE: dict[str, Any] = {
    "model": "m",
    "emotion": "joy",
    "target": Target(site="resid_mid", layer=3, pooling="last"),
}
STEERED = SteerSettings(
    emotions=("joy", "awe"),
    layers=(0, 3),
    doses=(-1.0, 2.0),
    control_doses=(2.0,),
    neutral="calm",
    pooling="last",
    n_random=200,
    n_shuffled=30,
    n_sentences=4,
    prefixes={"joy": "I am = glad.", "calm": "It rains."},
    seed=2,
)
ABLATED = AblateSettings(
    emotion="joy",
    layer=3,
    parts=("head", "mlp"),
    at=(0, 2),
    by="zero",
    neutral="calm",
    n_sentences=4,
    words=("glad", "so happy"),
    seed=2,
)
CONTRAST = ContrastSettings(neutral="calm", n_permutations=9, seed=2)
LOGITS = LensSettings(neutral="calm", n_random=30, n_tokens=4, seed=2)
ASKED: tuple[tuple[Kind[Any], CauseRequest], ...] = (
    (HEADS, HeadsRequest(**PLACE, settings=CONTRAST)),
    (LENS, LensRequest(**PLACE, settings=LOGITS)),
    (PROJECT, ProjectRequest(**PLACE, neutral="calm", file="book.txt", n_top=4)),
    (PATTERNS, PatternsRequest(model="m", emotion="joy", budget_mb=7)),
    (ABLATE, AblateRequest(model="m", settings=ABLATED)),
    (STEER, SteerRequest(model="m", settings=STEERED)),
)
"""Every option has another value than its default."""


def typed(kind: Kind[Any], *words: str) -> CauseRequest:
    asked: CauseRequest = given(kind.request, build_parser().parse_args([kind.name, *words]))
    return asked


@pytest.mark.parametrize(("kind", "asked"), ASKED, ids=lambda each: getattr(each, "name", ""))
def test_a_command_asks_what_its_words_say(kind: Kind[Any], asked: CauseRequest) -> None:
    assert typed(kind, *words_of(asked)) == asked
    assert typed(kind, *words_of(asked), "--run-id", "mine").run_id == "mine"


def test_a_command_has_the_defaults_of_its_question() -> None:
    least: dict[str, Any] = {"model": "m", "emotion": "joy"}
    place, words = {**least, "target": Target(layer=3)}, ("--model", "m", "--emotion", "joy")
    there = (*words, "--layer", "3")
    assert typed(HEADS, *there) == HeadsRequest(**place)
    assert typed(LENS, *there) == LensRequest(**place)
    assert typed(PROJECT, *there, "--file", "a") == ProjectRequest(**place, file="a")
    assert typed(PATTERNS, *words) == PatternsRequest(**least)
    settings = AblateSettings(emotion="joy", layer=3)
    assert typed(ABLATE, *there[2:]) == AblateRequest(settings=settings)
    assert typed(STEER) == SteerRequest()
