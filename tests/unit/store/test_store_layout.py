"""Names and links that try to leave the results folder, and the paths that ordinary names get."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.store.layout import ResultsRoot, check_folder_name, check_id

pytestmark = pytest.mark.fault

TRAVERSAL = [
    "..", ".", "", "../", "../x", "../../etc/passwd", "a/../b", "a/..", "./a", "/", "//", "/etc",
    "/etc/passwd", "//etc/passwd", "a/b", "a//b", "a/", "..\\", "..\\..\\x", "a\\b", "\\",
    "\\\\host", "C:\\x", "C:x", "C:", "\\\\?\\C:\\x", "~", "~root/x", "~/x",
    "file:///etc/passwd", "%2e%2e",
    "%2e%2e%2f", "..%2f", "..%c0%af", "....//", "..;/", "$HOME", "${HOME}", "$(id)", "`id`", "a|b",
    "a;b", "a&b", "a>b", "a<b", "a*", "a?", "[a]", "{a,b}", "a'b", 'a"b', "!a", "a b", "a:b", "a,b",
    "-", "-rf", "--help", ".hidden", ".manifest.lock", ".partial", "...", "a.", "a..", "#a",
    "a%", "a+b",
]  # fmt: skip
CONTROL = ["a\0", "\0", "\0/etc/passwd", "a\0.pkl", *(f"a{chr(code)}b" for code in range(1, 32)),
           "a\x7f", "a\x80", "a\x9fb", "a\u2028b", "a\u2029b", " a", "a ", "\ta", "a\n", "\u00a0a",
           "a\u200bb", "a\u200eb", "a\u202eb", "a\u2066b", "a\ufeffb", "\ufeff"]  # fmt: skip
LOOK_ALIKES = [
    "\uff0e\uff0e", "\uff0e\uff0e\uff0fx", "\u2024\u2024", "\u2025", "\u2026", "a\u2044b",
    "a\u2215b", "a\u29f8b", "a\uff0fb", "a\ufe68b", "a\uff3cb", "\u3002\u3002", "gpt\uff12",
    "gpt\u00b2",
    "\u0261pt2", "\u0581pt2", "g\u0440t2", "e\u0301", "\u00e9", "\uff47\uff50\uff54\uff12",
    "a\u0338b",
    "\u2100", "\u2105", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]  # fmt: skip
SURROGATES = ["\udc80", "a\udcff", "..\udc2f", "\ud800", "a\udfffb"]
DEVICES = ["CON", "con", "PRN", "AUX", "NUL", "nul.txt", "Con.pkl", "COM1", "com9.x", "LPT1",
           "lpt5.tar"]  # fmt: skip
LONG = ["a" * 201, "a" * 256, "a" * 5000, "../" * 1000, "\u3042" * 100]
HOSTILE = [*TRAVERSAL, *CONTROL, *LOOK_ALIKES, *SURROGATES, *DEVICES, *LONG]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_there_are_at_least_a_hundred_distinct_hostile_names() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) >= 100


@pytest.fixture
def root(tmp_path: Path) -> ResultsRoot:
    (tmp_path / "results").mkdir()
    return ResultsRoot(tmp_path / "results")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_and_never_leaves_the_root(name: str, root: ResultsRoot) -> None:
    # A lone tilde is an ordinary character of an encoded model name: nothing here expands it.
    if name == "~":
        assert root.unit_path("~", "joy").parent == root.path / "activations" / "~"
    else:
        for place in (
            lambda: root.unit_path(name, "joy"),
            lambda: root.unit_name(name, "joy"),
            lambda: root.lock_path(name, "joy"),
        ):
            with pytest.raises(RequestError):
                place()
    for by_id in (root.run_dir, root.analysis_dir, root.report_path):
        with pytest.raises(RequestError):
            by_id(name)
    _refused_or_one_plain_file(lambda: root.unit_path("gpt2", name), root)
    assert _names(root.path.parent) == ["results"]
    assert _names(root.path) == []


def _refused_or_one_plain_file(place: Callable[[], Path], root: ResultsRoot) -> None:
    """Labels may have letters of any script, and a prefix keeps device names harmless."""
    try:
        path = place()
    except RequestError:
        return
    assert path.parent == root.path / "activations" / "gpt2"
    assert os.path.realpath(path) == os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118
    assert unicodedata.is_normalized("NFC", path.name)


@pytest.mark.parametrize(
    "name", ["gpt2", "pythia-160m", "a=b@main", "org~name@v1.0", "_x", "A" * 200, "0.5b"]
)
def test_an_ordinary_model_folder_is_taken_as_it_is(name: str, root: ResultsRoot) -> None:
    assert check_folder_name(name) == name
    expected = root.path / "activations" / name / "activations_anger.pkl"
    assert root.unit_path(name, "anger") == expected
    assert root.unit_name(name, "anger") == str(expected.relative_to(root.path))


@pytest.mark.parametrize("name", ["a", "2026-01-01T00.00.00_x", "r" * 80])
def test_an_ordinary_id_is_taken_as_it_is(name: str, root: ResultsRoot) -> None:
    assert check_id(name) == name
    assert root.run_dir(name) == root.path / "runs" / name


def test_an_id_one_character_too_long_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(RequestError, match="1 to 80 ASCII letters"):
        check_id("r" * 81)


def test_two_spellings_of_one_label_are_one_file(root: ResultsRoot) -> None:
    assert root.unit_path("gpt2", "gene\u0301") == root.unit_path("gpt2", "gen\u00e9")


def test_a_label_too_long_in_bytes_is_refused_before_the_system_does(root: ResultsRoot) -> None:
    label = "\U00020000" * 64
    with pytest.raises(RequestError, match=r"272 bytes, at most 255"):
        root.unit_path("gpt2", label)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000], ids=["empty", "NUL", "long"])
def test_an_impossible_results_folder_is_refused(path: str) -> None:
    with pytest.raises(RequestError, match="--results"):
        ResultsRoot(path)


PLACES: list[tuple[str, Callable[[ResultsRoot], object]]] = [
    ("activations", lambda root: root.activations),
    ("activations", lambda root: root.unit_path("gpt2", "joy")),
    ("activations/gpt2", lambda root: root.unit_path("gpt2", "joy")),
    ("activations/gpt2/activations_joy.pkl", lambda root: root.unit_path("gpt2", "joy")),
    ("activations/gpt2", lambda root: list(root.units())),
    ("activations/gpt2/activations_joy.pkl", lambda root: list(root.units())),
    ("runs", lambda root: root.runs),
    ("runs", lambda root: root.run_dir("r1")),
    ("runs/r1", lambda root: root.run_dir("r1")),
    ("manifest.json", lambda root: root.manifest),
    (".manifest.lock", lambda root: root.manifest_lock),
    ("summaries", lambda root: root.summaries),
    ("analysis", lambda root: root.analysis_dir("a1")),
    ("reports", lambda root: root.report_path("r.html")),
    (".partial", lambda root: root.partial),
    (".partial/.locks", lambda root: root.lock_path("gpt2", "joy")),
]


@pytest.mark.parametrize(
    ("link", "place"), PLACES, ids=[f"{n}-{p[0]}" for n, p in enumerate(PLACES)]
)
@pytest.mark.parametrize("target", ["absolute", "relative", "two hops"])
def test_a_link_that_leaves_the_root_is_not_followed(
    link: str, place: Callable[[ResultsRoot], object], target: str, tmp_path: Path
) -> None:
    root = ResultsRoot(tmp_path / "results")
    outside = tmp_path / "outside" / "gpt2"
    outside.mkdir(parents=True)
    (outside / "activations_joy.pkl").write_bytes(b"secret")
    source = root.path / link
    source.parent.mkdir(parents=True)
    to = outside.parent if link.count("/") == 0 else outside
    if link.endswith(".pkl"):
        to = outside / "activations_joy.pkl"
    if target == "relative":
        to = Path(os.path.relpath(to, source.parent))
    if target == "two hops":
        # A link to a link that leaves: only following all of them shows it.
        (root.path / "hop").symlink_to(to)
        to = root.path / "hop"
    source.symlink_to(to)
    with pytest.raises(RequestError, match="leads out of the results folder"):
        place(root)


def test_a_link_that_stays_inside_and_a_link_to_the_root_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "results"
    (real / "elsewhere").mkdir(parents=True)
    (real / "activations").symlink_to("elsewhere")
    (tmp_path / "results").symlink_to(real)
    root = ResultsRoot(tmp_path / "results")
    path = root.unit_path("gpt2", "joy")
    assert path == tmp_path / "results" / "activations" / "gpt2" / "activations_joy.pkl"


def test_a_folder_whose_name_starts_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "results-other").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").symlink_to("../results-other")
    with pytest.raises(RequestError, match="leads out"):
        ResultsRoot(tmp_path / "results").run_dir("r1")


def test_units_are_listed_in_order_and_other_files_are_passed_over(root: ResultsRoot) -> None:
    assert list(root.units()) == []
    for name in ("b/activations_joy.pkl", "a/activations_joy.pkl", "a/activations_anger.pkl"):
        (root.activations / name).parent.mkdir(parents=True, exist_ok=True)
        (root.activations / name).touch()
    for stray in (
        "notes.txt", "a/.emoact-0.tmp", "a/activations_.pkl", "a/activations_a b.pkl", "a/joy.pkl",
    ):  # fmt: skip
        (root.activations / stray).touch()
    (root.activations / ".hidden").mkdir()
    (root.activations / ".hidden" / "activations_joy.pkl").touch()
    assert [(folder, emotion) for folder, emotion, _ in root.units()] == [
        ("a", "anger"),
        ("a", "joy"),
        ("b", "joy"),
    ]


def test_nothing_is_left_where_results_can_be_written(tmp_path: Path) -> None:
    ResultsRoot(tmp_path / "deep" / "results").check_writable()
    assert _names(tmp_path) == []


def test_a_file_in_the_way_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("mine")
    with pytest.raises(RequestError, match="results could not be written: Not a directory"):
        ResultsRoot(tmp_path / "results").check_writable()
    assert (tmp_path / "results").read_text() == "mine"
