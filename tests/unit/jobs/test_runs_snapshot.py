import itertools
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from emoact.decode import decode
from emoact.jobs.rates import remaining_seconds
from emoact.jobs.snapshot import HISTORY_POINTS, Snapshot
from tests.support.run_files import SAVED, a_config, a_model, an_event

STARTED = {"model": "tiny", "emotion": "anger"}


def story(tmp_path: Path) -> Snapshot:
    return Snapshot.before(a_config(tmp_path)).after_all(
        [
            an_event("started"),
            an_event("turn"),
            an_event("step", 0.5, step="load", model="tiny", detail="weights"),
            an_event("unit_planned", 3.0, model="tiny", emotion="anger", n_samples=4, n_tokens=40),
            an_event(
                "unit_planned", 3.0, model="tiny", emotion="neutral", n_samples=2, n_tokens=20
            ),
            an_event("unit_started", 3.5, **STARTED),
        ]
    )


def test_states_follow_the_events_and_elapsed_time_never_runs_backwards(tmp_path: Path) -> None:
    before = Snapshot.before(a_config(tmp_path))
    assert before.state == "pending"
    assert before.after(an_event("turn")).state == "loading"
    assert story(tmp_path).state == "running"
    assert story(tmp_path).ready_s == {"tiny": 3.0}
    assert story(tmp_path).after(an_event("note", 1.0, text="late")).elapsed_s == 3.5
    ended = story(tmp_path).after(an_event("ended", 9.0, state="finished", error=None))
    assert (ended.state, ended.step, ended.elapsed_s) == ("finished", None, 9.0)


def test_progress_and_saving_are_seen_on_the_unit(tmp_path: Path) -> None:
    running = story(tmp_path).after(
        an_event("unit_progress", 4.0, **STARTED, samples_done=2, tokens_done=20)
    )
    assert running.units[0].state == "running"
    assert (running.units[0].samples_done, running.tokens_done) == (2, 20)
    saving = running.after(an_event("step", 5.0, step="save", model="tiny"))
    assert [unit.state for unit in saving.units] == ["saving", "waiting"]
    saved = saving.after(an_event("unit_saved", 5.5, **SAVED))
    assert saved.units[0].state == "saved"
    assert (saved.units[0].samples_done, saved.units[0].size) == (4, 100)


def test_the_history_has_a_point_a_second_and_forgets_the_oldest(tmp_path: Path) -> None:
    snapshot = story(tmp_path)
    for number in range(1, 400):
        snapshot = snapshot.after(
            an_event(
                "unit_progress",
                3.5 + number * 0.5,
                **STARTED,
                samples_done=0,
                tokens_done=number * 10,
            )
        )
    assert len(snapshot.history) == HISTORY_POINTS
    assert {rate for _, rate in snapshot.history} == {20.0}
    times = [time for time, _ in snapshot.history]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {1.0}


def test_another_attempt_keeps_what_is_saved_and_begins_the_rest_again(tmp_path: Path) -> None:
    crashed = story(tmp_path).after_all(
        [
            an_event("unit_saved", 6.0, **SAVED),
            an_event("unit_started", 6.0, model="tiny", emotion="neutral"),
            an_event(
                "unit_progress", 7.0, model="tiny", emotion="neutral", samples_done=1, tokens_done=9
            ),
        ]
    )
    again = crashed.again()
    assert (again.attempt, again.state, again.earlier_s) == (2, "pending", 7.0)
    assert [unit.state for unit in again.units] == ["saved", "waiting"]
    assert [unit.samples_done for unit in again.units] == [4, 0]
    later = again.after(an_event("unit_skipped", 1.0, **STARTED, path="/r/a.pkl", reason="there"))
    assert later.units[0].state == "saved", "this run wrote it"
    assert later.elapsed_s == 8.0


def test_a_unit_of_another_run_counts_as_skipped(tmp_path: Path) -> None:
    snapshot = story(tmp_path).after(
        an_event("unit_skipped", 1.0, model="tiny", emotion="neutral", path="/r/n", reason="there")
    )
    assert snapshot.units[1].state == "skipped"
    assert snapshot.units[1].samples_done == 2
    assert snapshot.tokens_done == 0


def test_a_snapshot_survives_its_file(tmp_path: Path) -> None:
    snapshot = story(tmp_path).after(an_event("note", 4.0, text="a remark"))
    assert decode(Snapshot, json.loads(json.dumps(asdict(snapshot)))) == snapshot


def test_the_remaining_time_is_tokens_left_over_the_rate_once_there_is_one(tmp_path: Path) -> None:
    assert remaining_seconds(story(tmp_path), a_config(tmp_path)) is None
    snapshot = story(tmp_path).after(
        an_event("unit_progress", 5.5, **STARTED, samples_done=2, tokens_done=20)
    )
    # 20 tokens in 2 s; 20 of this unit and 20 of the next are left.
    assert remaining_seconds(snapshot, a_config(tmp_path)) == pytest.approx(4.0)


def test_a_larger_model_that_comes_later_takes_longer_and_has_to_load(tmp_path: Path) -> None:
    config = a_config(
        tmp_path,
        models=(a_model("tiny", n_parameters=100), a_model("big", n_parameters=300)),
        emotions=("anger",),
    )
    snapshot = Snapshot.before(config).after_all(
        [
            an_event("turn"),
            an_event("step", 0.0, step="load", model="tiny"),
            an_event("unit_planned", 1.0, model="tiny", emotion="anger", n_samples=4, n_tokens=40),
            an_event("unit_started", 1.0, **STARTED),
            an_event("unit_saved", 3.0, **SAVED),
        ]
    )
    # 40 tokens in 2 s by the small one; three times as long for the other, and 1 s to load.
    assert remaining_seconds(snapshot, config) == pytest.approx(7.0)
