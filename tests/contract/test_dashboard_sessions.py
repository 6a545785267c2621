"""Twenty people look at runs at once, and each sees their own."""

from __future__ import annotations

from pathlib import Path

from tests.support.planted_runs import plant_run
from tests.support.server import serving
from tests.support.sessions import Session, visit_together

RUNS = {"20260131-140500-aaaa": "gpt2", "20260131-140600-bbbb": "pythia-160m"}


def test_twenty_sessions_each_see_their_own_run_move_and_nothing_fails(tmp_path: Path) -> None:
    results = tmp_path / "results"
    locks = [
        plant_run(results, run, "running", models=(model,), done=1, log=f"log of {run}\n")
        for run, model in RUNS.items()
    ]
    sessions = [Session(page="extract", query=f"run={run}") for run in RUNS for _ in range(10)]
    with serving(results, tmp_path / "server.log") as server:
        visit_together(sessions, server.url, seconds=60.0, runs=6)
        said = server.log.read_text()
    for lock in locks:
        assert lock is not None
        lock.close()
    assert [failure for session in sessions for failure in session.failures] == []
    # The page, which its frame begins twice, and its live part again and again.
    assert [session.runs for session in sessions] == [6] * 20
    for session in sessions:
        own, other = (
            RUNS.values() if session.query.endswith("aaaa") else reversed(list(RUNS.values()))
        )
        seen = "\n".join(session.texts)
        assert f"prompts with `{own}`" in seen
        assert f"prompts with `{other}`" not in seen
    assert "Traceback" not in said
