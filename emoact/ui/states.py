"""One word, one icon and one colour for each state, the same on every page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from emoact.jobs.config import RunKind
from emoact.jobs.snapshot import State, Step, UnitState
from emoact.jobs.views import RunSummary

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "primary"]


_HEX: Mapping[Colour, str] = {
    "red": "#C9404D",
    "orange": "#C65A20",
    "yellow": "#9A6B00",
    "blue": "#2F72DB",
    "green": "#067A52",
    "violet": "#8347D1",
    "gray": "#6B7280",
    "primary": "#0E6E6B",
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """Word, icon and colour of a state."""

    word: str
    icon: str
    colour: Colour

    @property
    def badge(self) -> str:
        """The state as a badge in Markdown."""
        return f":{self.colour}-badge[{self.icon} {self.word}]"

    @property
    def hex(self) -> str:
        """The colour where a name is not understood, such as the cells of a table."""
        return _HEX[self.colour]


RUN_LOOKS: Mapping[State, Look] = {
    "pending": Look(word="waiting", icon=":material/schedule:", colour="gray"),
    "loading": Look(word="loading", icon=":material/hourglass_top:", colour="orange"),
    "running": Look(word="running", icon=":material/play_circle:", colour="blue"),
    "finished": Look(word="finished", icon=":material/check_circle:", colour="green"),
    "failed": Look(word="failed", icon=":material/error:", colour="red"),
    "cancelled": Look(word="cancelled", icon=":material/cancel:", colour="yellow"),
    "crashed": Look(word="crashed", icon=":material/bolt:", colour="violet"),
}
CANCELLING = Look(word="cancelling", icon=":material/stop_circle:", colour="yellow")

UNIT_WORDS: Mapping[UnitState, str] = {
    "waiting": "waiting",
    "running": "computing",
    "saving": "saving",
    "saved": "saved",
    "skipped": "already on disk",
    "stopped": "stopped",
}

STEP_WORDS: Mapping[Step, str] = {
    "install": "Install",
    "download": "Download",
    "load": "Load model",
    "self_check": "Self-check",
    "extract": "Extract",
    "save": "Save",
    "read": "Read",
    "analyze": "Analyse",
    "write": "Write",
}

JOB_STEPS: Mapping[RunKind, tuple[Step, ...]] = {
    "analyze": ("read", "analyze", "write"),
    "report": ("read", "write"),
    "causes": ("analyze", "write"),
}
"""The steps of each kind of job, in their order."""

MODEL_STEPS: tuple[Step, ...] = ("load", "self_check", "extract")
"""The steps of a model before it has computed what was asked for."""

_KINDS: Mapping[RunKind, str] = {
    "extract": "extraction",
    "analyze": "analysis",
    "report": "report",
    "causes": "causes",
}
_CAUSES = {"steer": "steering", "ablate": "ablation", "heads": "heads"}


def kind_words(run: RunSummary) -> str:
    """What a run does, in one word."""
    return _CAUSES.get(run.what) or _KINDS[run.kind]


FETCHING: frozenset[Step] = frozenset({"install", "download"})
"""Steps that may come before a model is loaded."""


def run_look(run: RunSummary) -> Look:
    """The look of a run, which may be on its way to being cancelled."""
    return CANCELLING if run.cancel_requested and run.active else RUN_LOOKS[run.state]
