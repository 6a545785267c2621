import contextlib
import os
import shutil
import signal
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from emoact.errors import EmoactError, RequestError
from emoact.host import client
from emoact.host.client import is_warm, look_at
from emoact.models import hosts
from emoact.models.alike import ModelRequest
from emoact.schema import ExtractionOptions
from tests.support.planted import plant_grid
from tests.support.stand_in_world import wait_for
from tests.support.typed import Typed

REQUEST = ModelRequest(
    model="gpt2", folder="gpt2", commit="c" * 40, options=ExtractionOptions(sites=("resid_pre",))
)


class Elsewhere:
    """Another checkout of the package."""

    __file__ = "/elsewhere/emoact/__init__.py"


def only_host() -> Path:
    (folder,) = hosts.hosts()
    return folder


def wait_until_cold(request: ModelRequest) -> None:
    wait_for(lambda: not is_warm(request))


def test_a_sentence_comes_back_with_its_norms_and_the_model_stays(stand_in: Path) -> None:
    assert not is_warm(REQUEST)
    looked = look_at(REQUEST, "  my  keys ")
    assert looked.text == "my  keys"
    assert looked.token_strings == ("<|endoftext|>", "my", "keys")
    np.testing.assert_array_equal(looked.arrays["resid_pre.l2"][2], [1.0, 2.0, 4.0])
    assert looked.arrays["resid_pre.pooled"].shape == (4, 12)
    assert is_warm(REQUEST)
    before = only_host()
    look_at(REQUEST, "again")
    assert only_host() == before


@pytest.mark.parametrize("text", ["", "   \n\t ", "x" * 2001])
def test_a_sentence_that_is_empty_or_too_long_starts_nothing(stand_in: Path, text: str) -> None:
    with pytest.raises(RequestError, match=r"empty|2,001 characters"):
        look_at(REQUEST, text)
    assert not is_warm(REQUEST)


def test_two_tabs_at_once_share_one_model_and_get_their_own_answers(stand_in: Path) -> None:
    words = ["x", "xx", "xxx", "xxxx"]
    with ThreadPoolExecutor(4) as tabs:
        answers = tabs.map(lambda word: look_at(REQUEST, f"slowly {word}"), words, timeout=30)
        assert [looked.token_strings[2] for looked in answers] == words


def test_only_its_user_can_reach_a_worker(stand_in: Path) -> None:
    look_at(REQUEST, "hello")
    for path in (hosts.hosts_folder(), only_host()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_ISSOCK((only_host() / "socket").stat().st_mode)


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmoactError, match="not a folder of yours"):
        hosts.private(tmp_path / "link")


def test_a_folder_that_is_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    hosts.private(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


def test_a_long_cache_path_has_its_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / ("long" * 40)))
    folder = hosts.hosts_folder()
    own = hosts.new_folder()
    assert len(os.fsencode(own / "socket")) <= 100
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    shutil.rmtree(folder)


def test_looking_for_a_host_leaves_nothing_behind(stand_in: Path) -> None:
    assert hosts.hosts() == []
    assert not is_warm(REQUEST)
    hosts.leave_others()
    assert not hosts.hosts_folder().exists()


def test_a_host_removes_empty_folders(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, empty = hosts.new_folder(), stand_in / "host-01234567"
    empty.mkdir()
    other = stand_in / "models"
    other.mkdir()
    hosts.new_folder()
    assert (full.exists(), empty.exists(), other.exists()) == (True, False, True)


def test_old_hosts_are_not_asked(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(REQUEST, "hello")
    (here,) = hosts.hosts()
    for name, value in (("__version__", "0.0.9"), ("emoact", Elsewhere)):
        with monkeypatch.context() as patched:
            patched.setattr(hosts, name, value)
            assert hosts.hosts() == []
            hosts.leave_others()
    assert hosts.hosts() == [here]
    with monkeypatch.context() as patched:
        patched.setattr(hosts, "stamp", lambda *_: "of other settings")
        assert not is_warm(REQUEST)
    assert is_warm(REQUEST)


def test_a_killed_worker_is_noticed_and_the_next_sentence_starts_another(stand_in: Path) -> None:
    look_at(REQUEST, "hello")
    with pytest.raises(EmoactError, match="ended before it answered"):
        look_at(REQUEST, "die now")
    wait_until_cold(REQUEST)
    assert look_at(REQUEST, "hello again").token_strings[1] == "hello"


def test_errors_of_one_sentence_do_not_end_the_worker(stand_in: Path) -> None:
    with pytest.raises(RequestError, match="too many tokens") as refused:
        look_at(REQUEST, "refuse")
    assert refused.value.remedy == "Shorten it."
    with pytest.raises(EmoactError, match="ZeroDivisionError: division by zero"):
        look_at(REQUEST, "fail")
    assert is_warm(REQUEST)


def test_a_model_that_cannot_be_loaded_says_why_and_leaves(stand_in: Path) -> None:
    broken = ModelRequest(model="broken", folder="broken", commit=None, options=ExtractionOptions())
    with pytest.raises(EmoactError, match="the weights are gone") as failed:
        look_at(broken, "hello")
    assert failed.value.remedy == "Install them again."
    wait_until_cold(broken)


def test_another_model_takes_the_place_of_the_first(stand_in: Path) -> None:
    other = ModelRequest(model="gpt2", folder="gpt2", commit="d" * 40, options=REQUEST.options)
    look_at(REQUEST, "hello")
    look_at(other, "hello")
    wait_until_cold(REQUEST)
    assert is_warm(other)


def test_a_failing_command_is_told(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WORKER", ("sh", "-c", "echo no such thing >&2; exit 1"))
    with pytest.raises(EmoactError, match="no such thing"):
        look_at(REQUEST, "hello")


def test_a_host_that_never_answers_is_waited_for_and_then_named(stand_in: Path) -> None:
    with hosts.listen(hosts.new_folder()), pytest.raises(EmoactError, match="no answer within"):
        look_at(REQUEST, "hello", patience_s=0.3)


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64])
def test_noise_on_the_socket_is_no_sentence(stand_in: Path, noise: bytes) -> None:
    look_at(REQUEST, "hello")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.settimeout(5)
        stranger.connect(os.fspath(only_host() / "socket"))
        stranger.sendall(noise)
        stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(100) == b""
    assert look_at(REQUEST, "still here").token_strings[1] == "still"


def test_a_worker_outlives_the_process_that_started_it(stand_in: Path) -> None:
    """Its session is its own, so that the end of a server's terminal does not reach it."""
    look_at(REQUEST, "hello")
    found = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and os.fspath(only_host()) in _command(entry)
    ]
    assert len(found) == 1
    assert os.getsid(found[0]) == found[0] != os.getsid(0)
    os.kill(found[0], signal.SIGTERM)
    wait_until_cold(REQUEST)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture
def results(tmp_path: Path, stand_in: Path) -> Path:
    plant_grid(tmp_path, ["gpt2"], n_samples=10)
    return tmp_path


def test_the_nearest_class_is_said_and_the_second_is_warm(results: Path, typed: Typed) -> None:
    first = typed("sentence", "I broke the bicycle", "--results", results)
    assert "loading gpt2" in first.err
    lines = first.out.splitlines()
    assert "At layer 2 of resid_pre the sentence lies closest to" in lines[0]
    assert "of the 40 saved prompts, held out" in lines[1]
    assert {line.split()[0] for line in lines[3:]} == {"gratitude", "anger", "apology", "neutral"}
    nearest = lines[3].split()
    assert f"closest to {nearest[0]} ({nearest[1]};" in lines[0]

    words = ["sentence", "I broke it", "--results", str(results), "--json", "--by", "token"]
    second = typed(*words, "--norm", "rms", "--model", "gpt2")
    assert "loading" not in second.err
    document = second.json
    assert document["tokens"] == ["<|endoftext|>", "I", "broke", "it"]
    norms = [row["norm"] for row in document["rows"] if row["layer"] == 3]
    assert norms == pytest.approx([length / 12**0.5 for length in (1, 1, 5, 2)])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([" "], 2, "the sentence is empty"),
        (["hello", "--layer", "4"], 2, "allowed are 0, 1, 2, 3"),
        (["hello", "--layer", "-1"], 2, "allowed are 0, 1, 2, 3"),
        (["hello", "--site", "attn_out"], 2, "allowed are resid_pre, mlp_out"),
        (["hello", "--model", "no/such"], 2, "there are gpt2"),
        (["hello", "--by", "mood"], 2, "class, token, layer"),
        (["refuse"], 2, "too many tokens"),
        (["fail"], 1, "division by zero"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_goes_wrong_has_an_exit_code_and_says_what_there_is(
    results: Path, words: list[str], code: int, said: str, typed: Typed
) -> None:
    assert said in typed("sentence", *words, "--results", results, code=code).err


def test_one_of_several_models_must_be_named(tmp_path: Path, typed: Typed) -> None:
    plant_grid(tmp_path, ["gpt2", "pythia-160m"], ["anger"])
    assert "Name one with --model" in typed("sentence", "hello", "--results", tmp_path, code=2).err
    assert (
        "emoact extract" in typed("sentence", "hello", "--results", tmp_path / "none", code=2).err
    )
