"""Files that run something are refused without anything being imported, called or executed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emoact.errors import FileRefusedError
from emoact.store.read.closed import load_closed
from tests.support.hostile_calls import PUBLISHED, live, places, spellings, variants

GENERATED = 2_500
QUIET = frozenset({"open", "mmap.__new__", "builtins.id", "object.__getattr__", "sys._getframe"})
"""Audit events allowed while a file is opened and refused; no import and no call."""

_heard: list[str] | None = None


def _listen(event: str, _: object) -> None:
    if _heard is not None:
        _heard.append(event)


sys.addaudithook(_listen)


@contextmanager
def nothing_runs(canary: Path) -> Iterator[None]:
    """Python's own audit hook says what was imported, executed, opened or started inside."""
    global _heard
    modules = set(sys.modules)
    _heard = []
    try:
        yield
    finally:
        heard, _heard = _heard, None
    assert set(heard) <= QUIET
    assert set(sys.modules) == modules
    assert not canary.exists()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    # What the first refusal imports lazily (warnings, linecache) must not be blamed on a gadget.
    with pytest.raises(FileRefusedError):
        load_closed(tmp_path / "missing")
    return tmp_path / "canary"


def assert_refused(path: Path, stream: bytes, canary: Path) -> FileRefusedError:
    path.write_bytes(stream)
    with nothing_runs(canary), pytest.raises(FileRefusedError) as caught:
        load_closed(path)
    assert "malformed" not in caught.value.reason
    return caught.value


def test_the_gadgets_are_live_where_pickle_loads_them(tmp_path: Path) -> None:
    streams = []
    for index, gadget in enumerate(live(str(tmp_path / "canary"))):
        canary = str(tmp_path / f"canary{index}")
        module, attribute, arguments = live(canary)[gadget]
        path = tmp_path / f"{index}.pkl"
        path.write_bytes(
            places(spellings(module, attribute, arguments)["reduce-global"])["whole-2"]
        )
        streams.append(path)
    program = (
        "import pickle, sys\n"
        "for path in sys.argv[1:]:\n"
        "    try: pickle.load(open(path, 'rb'))\n"
        "    except Exception: pass\n"
    )
    subprocess.run([sys.executable, "-c", program, *map(str, streams)], check=True)
    dead = [at for at in range(len(streams)) if not (tmp_path / f"canary{at}").exists()]
    assert dead == []


@pytest.mark.parametrize("gadget", live("x"))
def test_a_live_gadget_is_refused_in_every_form(gadget: str, tmp_path: Path, canary: Path) -> None:
    module, attribute, arguments = live(str(canary))[gadget]
    for form in spellings(module, attribute, arguments).values():
        for stream in places(form).values():
            assert_refused(tmp_path / "a.pkl", stream, canary)


def test_a_published_name_is_refused_by_its_name_and_place(tmp_path: Path, canary: Path) -> None:
    for module, attribute in PUBLISHED:
        stream = places(spellings(module, attribute, ("x",))["reduce-global"])["whole"]
        error = assert_refused(tmp_path / "a.pkl", stream, canary)
        assert "the file asks for" in error.reason
        assert ascii(f"{module}.{attribute}")[1:-1][:60] in error.reason
        assert error.offset == 2


def test_generated_variants_are_refused(tmp_path: Path, canary: Path) -> None:
    accepted = []
    for title, stream in variants(str(canary), count=GENERATED, seed=20241114):
        try:
            assert_refused(tmp_path / "a.pkl", stream, canary)
        except pytest.fail.Exception:
            accepted.append(title)
    assert accepted == []
