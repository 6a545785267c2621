from __future__ import annotations

from pathlib import Path

import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError
from emoact.stats.audit import audit_dataset
from emoact.stats.audit.in_child import audit_in_child
from emoact.stats.audit.outcome import AuditReport

ROOT = Path(__file__).resolve().parents[4]


def test_a_child_says_the_same_as_an_audit_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    here = audit_dataset(read_prompts("data/prompts.jsonl"))
    there = audit_in_child("data/prompts.jsonl")
    assert there.to_json() == here.to_json()
    assert AuditReport.from_json(here.to_json()) == here


def test_a_child_refuses_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no such file"):
        audit_in_child(tmp_path / "none.csv")
