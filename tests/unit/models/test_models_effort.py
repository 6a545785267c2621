"""Threads and tokens per pass are what the user asked for, or refused with what is allowed."""

from pathlib import Path

import pytest
import torch

from emoact.errors import RequestError
from emoact.models.effort import THREADS, WIDTH, wanted
from emoact.models.resolve import resolve_model
from tests.support.tiny_models import engine_of, save_tiny
from tests.support.typed import Typed

TEXTS = ["Thank you for the soup.", "The train leaves at nine."]


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "²", "1000001"])
def test_what_is_not_a_positive_number_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"EMOACT_THREADS is .*; whole numbers from 1 to"):
        wanted(THREADS, {THREADS: text})


def test_nothing_set_means_nothing_wanted() -> None:
    assert wanted(THREADS, {}) is None
    assert wanted(THREADS, {THREADS: " "}) is None
    assert wanted(THREADS, {THREADS: "3"}) == 3


def test_the_command_refuses_first(monkeypatch: pytest.MonkeyPatch, typed: Typed) -> None:
    monkeypatch.setenv(WIDTH, "7")
    said = typed("extract", "--model", "gpt2", "--pass-tokens", "none", code=2)
    assert "EMOACT_PASS_TOKENS is 'none'" in said.err


def test_a_resumed_run_keeps_its_effort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = resolve_model(str(save_tiny("gpt2", tmp_path)))
    before = torch.get_num_threads()
    monkeypatch.setenv(THREADS, "1")
    monkeypatch.setenv(WIDTH, "20")
    try:
        first = engine_of(source, texts=TEXTS)
        assert (first.facts.plan["threads"], first.facts.plan["budget"]) == (1, 20)
        monkeypatch.setenv(THREADS, "2")
        monkeypatch.setenv(WIDTH, "30")
        plan = first.facts.plan
        again = engine_of(source, texts=TEXTS, frozen=plan)
        assert again.facts.plan == plan
    finally:
        torch.set_num_threads(before)
