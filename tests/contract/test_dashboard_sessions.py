"""Twenty people look at runs at once, and each sees their own."""

import os
import re
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from emoact.ui.frame import is_own
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.server import Server, serving
from tests.support.sessions import Session, visit_together

PATHS = (
    "/media/../../../../../../etc/passwd",
    "/media/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/app/static/../../../../etc/passwd",
    "/component/emoact_save_chart/../../../../etc/passwd",
    "/_stcore/bidi-components/emoact_save_chart/../../../../etc/passwd",
    "//etc/passwd",
    "/../results/runs/20260131-140500-aaaa/config.json",
    "/results/runs/20260131-140500-aaaa/config.json",
    "/_stcore/agent/interact",
)
"""Addresses that are no page."""
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "streamlit",
}

RUNS = {"20260131-140500-aaaa": "gpt2", "20260131-140600-bbbb": "pythia-160m"}


def asked(server: Server, path: str, **headers: str) -> tuple[int, bytes]:
    """Status and content of an address, which is sent as it is."""
    place = urlsplit(server.url).netloc
    connection = HTTPConnection(place, timeout=20)
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in ({"Host": place} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, b"" if answer.status == 101 else answer.read()
    finally:
        connection.close()


def test_a_page_of_another_port_is_shown_nothing(tmp_path: Path) -> None:
    results = tmp_path / "results"
    plant_run(results, "20260131-140500-aaaa", "finished", models=("gpt2",))
    with serving(results, tmp_path / "server.log") as server:
        own = Session(page="runs", query="", origin=server.url)
        stranger = Session(page="runs", query="", origin="http://localhost:1")
        visit_together([own, stranger], server.url, seconds=30.0, runs=2)
    assert own.failures == stranger.failures == []
    assert "20260131-140500-aaaa" in "\n".join(own.texts)
    seen = "\n".join(stranger.texts)
    assert "A page of another address has asked for this dashboard" in seen
    # Must not happen: anything of the results folder in what a stranger gets.
    assert "20260131-140500-aaaa" not in seen
    assert str(results) not in seen


def test_a_password_hides_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    plant_run(results, "20260131-140500-aaaa", "finished", models=("gpt2",))
    monkeypatch.setenv("EMOACT_PASSWORD", "open sesame")
    # The third is sent twice, and the fifth is one too many, again and again.
    uploads = tuple((name, b"x") for name in "abccde")
    with serving(results, tmp_path / "server.log") as server:
        without, wrong, right = (
            Session(page="runs", query=query, upload=uploads)
            for query in ("", "password=sesame", "password=open%20sesame")
        )
        visit_together([without, wrong, right], server.url, seconds=30.0, runs=2)
        said = "\n".join(right.texts)
        cookie = re.search("emoact=([0-9a-f]{64}); path=/; SameSite=Strict", said)
        assert cookie is not None
        again = Session(page="runs", query="", cookie=f"emoact={cookie[1]}")
        forged = Session(page="runs", query="", cookie="emoact=open sesame")
        # The server is warm by now: a page begins once.
        visit_together([again, forged], server.url, seconds=30.0, runs=2)
        assert "open sesame" not in server.log.read_text()
        for path in PATHS:
            status, body = asked(server, path)
            assert status != 200 or b"<title>Streamlit</title>" in body, path
            assert not re.search(b"root:|20260131", body), path
        assert asked(server, "/_stcore/stream", **UPGRADE)[0] == 101
        # A name that a stranger lets point to this machine, asked by the page of that name.
        rebound = {"Host": "evil.example:8501", "Origin": "http://evil.example:8501"}
        assert asked(server, "/_stcore/stream", **UPGRADE, **rebound)[0] == 403
    sessions = (without, wrong, right, again, forged)
    assert [session.failures for session in sessions] == [[]] * 5
    shown = ["20260131-140500-aaaa" in "\n".join(session.texts) for session in sessions]
    assert shown == [False, False, True, True, False]
    assert "This is not the password" in "\n".join(wrong.texts)
    assert [status for status, _ in right.taken] == [204, 204, 204, 204, 409, 409]
    assert "3 uploads in memory" in right.taken[-1][1]
    assert {status for session in (without, wrong) for status, _ in session.taken} == {400}


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost:8501", "localhost:8501", True),
        ("http://LOCALHOST:8501", "localhost:8501", True),
        ("https://tunnel.example", "tunnel.example", True),
        (None, "localhost:8501", True),
        ("http://localhost:8502", "localhost:8501", False),
        ("http://127.0.0.1:8501", "localhost:8501", False),
        ("null", "localhost:8501", False),
        ("http://localhost:8501@evil.example", "localhost:8501", False),
        ("http://localhost:8501", None, False),
    ],
)
def test_an_origin_has_its_port(origin: str | None, host: str | None, own: bool) -> None:
    assert is_own(origin, host) == own


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


def test_the_clock_of_a_page_that_was_left_does_not_bring_it_back(tmp_path: Path) -> None:
    results = tmp_path / "results"
    lock = plant_run(results, "20260131-140500-aaaa", "running", models=("gpt2",), done=1)
    session = Session(page="", query="", press="Watch the run")
    with serving(results, tmp_path / "server.log") as server:
        session.visit(server.url, seconds=30.0, runs=8)
    assert lock is not None
    lock.close()
    assert session.failures == []
    left = session.pages.count(session.pages[0])
    assert 0 < left < len(session.pages)
    # Must not happen: a script of the page that was left, after the first of the new one.
    assert set(session.pages[:left]) == {session.pages[0]}


def test_a_folder_stays_where_its_page_is_left_early(tmp_path: Path) -> None:
    results, other = tmp_path / "results", tmp_path / "other"
    both = {"EMOACT_RESULTS": f"{results}{os.pathsep}{other}"}
    session = Session(page="prompts", query=f"results={quote(str(other))}", goes_on=("runs", ""))
    with serving(results, tmp_path / "server.log", environment=both) as server:
        session.visit(server.url, seconds=30.0, runs=2)
    assert session.failures == []
    pickers = [text for text in session.texts if 'label: "Results folder"' in text]
    # Without being told the browser would draw the first folder, and ask for it at the next click.
    assert f'raw_value: "{other}"' in pickers[-1]
    assert "set_value: true" in pickers[-1]


@pytest.mark.parametrize("page", ["directions", "distances", "across_models", "activations"])
def test_a_page_is_whole_after_the_button_back(tmp_path: Path, page: str) -> None:
    """The entry of the browser's history has no parameter of what the page has picked by itself."""
    results = tmp_path / "results"
    for model in ("gpt2", "pythia-160m"):
        plant_scenarios(results, model)
    plant_analysis(results)
    session = Session(page=page, query="", goes_on=(page, ""), back=True)
    with serving(results, tmp_path / "server.log") as server:
        session.visit(server.url, seconds=30.0, runs=2)
    assert session.runs == 2
    assert session.failures == []
