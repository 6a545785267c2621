"""Results about causes that a stranger wrote, under the hash and the name that they should have."""

import copy
import io
import json
import os
import random
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from emoact.causes import heads, lens, patterns
from emoact.causes.form import check_form
from emoact.causes.saved import SavedCause, cause_id, save_cause, saved_causes, verify_causes
from emoact.decode import sealed
from emoact.errors import FileRefusedError, RequestError
from emoact.report.making import make_report
from emoact.store.layout import ResultsRoot
from emoact.views import catalogue
from emoact.views.cards import of_causes, of_heads
from emoact.views.causes import Causes
from emoact.views.heads import Heads
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles
from emoact.views.view import View
from tests.support.pages import open_page
from tests.support.planted_causes import plant_ablations, plant_steering
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.planted_scenarios import plant_scenarios

JUNK: tuple[Any, ...] = (None, "<b>", -1, 0, 10**6, 2**62, 1e300, [[]], {"a": 1})
STYLES = emotion_styles(["anger", "gratitude", "neutral"], "light")
PLANTS: dict[str, Callable[[Path], SavedCause]] = {
    "heads": plant_heads,
    "lens": plant_lens,
    "attention": plant_patterns,
    "steer": plant_steering,
    "ablate": plant_ablations,
}


def use(root: ResultsRoot, kind: str, *, drawn: bool = True) -> int:
    """What pages, commands and reports do with every result of a kind; how many there are."""
    saved = saved_causes(root, kind)
    for each in saved:
        if kind == "lens":
            lens.sentences_of(each), lens.table_of(each)
        elif kind == "attention":
            patterns.sentences_of(each), each.document
            for sample in (0, 1):
                patterns.read_pattern(each, sample)
    if kind in _SOURCES and saved:
        page, source = _SOURCES[kind](saved)
        for view in catalogue.of_page(page):
            if view.name not in _TYPED:
                draw(view, source, drawn=drawn)
    return len(saved)


_SOURCES: dict[str, Callable[[tuple[SavedCause, ...]], tuple[str, Any]]] = {
    "heads": lambda saved: ("heads", Heads(saved=saved)),
    "steer": lambda saved: ("causes", Causes(steered=saved)),
    "ablate": lambda saved: ("causes", Causes(ablated=saved)),
}
_TYPED = ("attention", "attention-heads")
"""Views that need a typed sentence."""


def draw(view: View[Any], source: Any, *, drawn: bool) -> None:
    """What a page and the report do with a view."""
    for choice in (view.choice(source, {}), *(view.in_report(source) if view.in_report else ())):
        shown = view.show(source, choice)
        view.answer(source, choice, shown)
        if view.command:
            view.command(source, choice)
        if shown.chart is not None and drawn:
            figure(shown.chart, styles=STYLES, scheme="light", caption=shown.caption)
    cards = of_heads if view.page == "heads" else of_causes
    cards(source, view.choice(source, {}))


def changed(found: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every field with something else in its place, or without it; of a table its ends."""
    places = found if isinstance(found, Mapping) else sorted({0, len(found) - 1})
    for place in places:
        for junk in JUNK:
            yield (*at, place), junk
        yield (*at, place), KeyError
        if isinstance(found[place], dict | list) and found[place]:
            yield from changed(found[place], (*at, place))


def put(found: Mapping[str, Any], at: tuple[Any, ...], junk: Any) -> dict[str, Any]:
    whole: Any = copy.deepcopy(dict(found))
    inner = whole
    for place in at[:-1]:
        inner = inner[place]
    if junk is KeyError:
        del inner[at[-1]]
    else:
        inner[at[-1]] = junk
    return dict(whole)


def write(root: ResultsRoot, saved: SavedCause, found: Any, rests_on: Any = None) -> None:
    """The file that `save_cause` would write, of things that it does not take, without a sync."""
    rests_on = saved.rests_on if rests_on is None else rests_on
    path = root.causes_dir(cause_id(saved.kind, dict(rests_on))) / saved.path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema_version": 1, "kind": saved.kind, "rests_on": rests_on, "found": found}
    path.write_text(json.dumps(sealed(document)))


@pytest.mark.parametrize("kind", ["heads", "lens"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("site", "nowhere"), ("pooling", "<b>"), ("layer", "0"), ("site", KeyError)],
)
def test_a_result_whose_direction_is_of_no_stream_is_refused(
    tmp_path: Path, kind: str, field: str, value: object
) -> None:
    saved, root = PLANTS[kind](tmp_path), ResultsRoot(tmp_path)
    assert use(root, kind) == 1
    write(root, saved, put(saved.found, ("target", field), value))
    assert use(root, kind) == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", PLANTS)
def test_a_result_with_another_field_is_passed_over_or_shown(
    every: bool, kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    saved = PLANTS[kind](tmp_path)
    root, shown, tried = ResultsRoot(tmp_path), 0, 0
    assert use(root, kind) == 1
    cases = list(changed(saved.found))
    missing = [each for each in cases if each[1] is KeyError and "effects" not in each[0]]
    for at, junk in cases if every else missing + random.Random(0).sample(cases, 100):
        tried += 1
        write(root, saved, put(saved.found, at, junk))
        try:
            # Drawing takes most of the time.
            shown += use(root, kind, drawn=tried % 10 == 0)
        except FileRefusedError:
            continue
        except Exception as error:
            raise AssertionError(f"{at} is {junk!r}") from error
    record_property("points", tried)
    assert 0 < shown < tried


@pytest.mark.parametrize("rests_on", [[], [["method_version", 2]]])
def test_a_result_that_rests_on_no_mapping_is_passed_over(tmp_path: Path, rests_on: Any) -> None:
    saved, root = plant_heads(tmp_path), ResultsRoot(tmp_path)
    write(root, saved, saved.found, rests_on)
    assert [each.id for each in heads.HEADS.saved(root)] == [saved.id]
    assert [finding.code for finding in verify_causes(root)] == ["cause_damaged"]


def test_pages_and_reports_show_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_scenarios(tmp_path, "gpt2", n=8, n_layers=3)
    root = ResultsRoot(tmp_path)
    for plant in PLANTS.values():
        saved = plant(tmp_path)
        for number, bad in enumerate(({}, {**saved.found, "model": ["gpt2"]}, ["found"])):
            write(root, saved, bad, {**saved.rests_on, "seed": number})
    monkeypatch.setenv("EMOACT_RESULTS", str(tmp_path))
    for page in ("heads", "causes"):
        app = open_page(page)
        assert not app.exception, (page, app.exception)
        assert len(app.selectbox(key="result").options) == 1
    make_report(tmp_path, form="md")


def _npy(header: str, data: bytes, version: bytes = b"\1\0") -> bytes:
    text = header.encode()
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def _archive(content: bytes, *, compressed: bool = False) -> bytes:
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("0/pattern.npy", content)
    return file.getvalue()


def _header(shape: object, dtype: str = "<f2") -> str:
    return f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}\n"


def _encrypted() -> bytes:
    content = bytearray(_archive(_npy(_header((2, 2, 10)), bytes(80))))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


ARCHIVES: dict[str, bytes] = {
    "2⁶⁰ numbers": _archive(_npy(_header((2**60,)), b"")),
    "more numbers than bytes": _archive(_npy(_header((2, 2, 10)), bytes(78))),
    "fewer dimensions": _archive(_npy(_header((40,)), bytes(80))),
    "no dimension": _archive(_npy(_header(()), bytes(2))),
    "negative dimensions": _archive(_npy(_header((-2, -2, 10)), bytes(80))),
    "objects": _archive(_npy(_header((1,), "|O"), b"cos\nsystem\n.")),
    "texts of 2³⁰ characters": _archive(_npy(_header((1,), "<U1073741824"), b"")),
    "a deep header": _archive(_npy("(" * 5_000, b"")),
    "a header of another version": _archive(_npy("", b"", b"\3\0")),
    "compressed zeros": _archive(_npy(_header((2, 2, 10)), bytes(80)), compressed=True),
    "encrypted": _encrypted(),
    "no archive": b"PK",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", [*ARCHIVES, "pipe", "device", "link", "folder", "huge", "missing"])
def test_an_archive_of_patterns_that_was_not_written_is_refused(tmp_path: Path, name: str) -> None:
    saved = plant_patterns(tmp_path)
    path = saved.path.parent / patterns.FILE
    elsewhere = path.rename(tmp_path / "elsewhere.npz")
    size = len(ARCHIVES.get(name, b""))
    if name == "pipe":
        os.mkfifo(path)
    elif name == "folder":
        path.mkdir()
    elif name in ("device", "link"):
        path.symlink_to("/dev/zero" if name == "device" else elsewhere)
        size = elsewhere.stat().st_size
    elif name == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
        size = 1 << 40
    elif name != "missing":
        path.write_bytes(ARCHIVES[name])
    found = {**saved.found, "size": size}
    root = ResultsRoot(tmp_path)
    write(root, saved, found)
    (hostile,) = patterns.PATTERNS.saved(root)
    with pytest.raises(FileRefusedError, match="patterns cannot be read"):
        patterns.read_pattern(hostile, 0)
    if name != "huge":
        # A sparse file is hashed, which takes hours.
        assert [finding.code for finding in verify_causes(root)] == ["cause_damaged"]


def test_a_prompt_of_a_million_tokens_takes_no_memory(tmp_path: Path) -> None:
    saved = plant_patterns(tmp_path, form="reduced")
    found = {**saved.found, "strings": [["a"] * 1_000_000], "content": [[0, 1]]}
    with pytest.raises(FileRefusedError, match="no prompt that was read"):
        patterns.read_pattern(
            SavedCause(id="a", path=saved.path, kind="attention", rests_on={}, found=found), 0
        )


def test_an_archive_whose_list_of_files_is_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    saved = plant_patterns(tmp_path)
    path = saved.path.parent / patterns.FILE
    n_bytes = 3_000_000_000
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, n_bytes, 0, 0)
    with path.open("wb") as file:
        file.truncate(n_bytes)
        file.seek(n_bytes)
        file.write(end)
    root = ResultsRoot(tmp_path)
    write(root, saved, {**saved.found, "size": path.stat().st_size})
    (hostile,) = patterns.PATTERNS.saved(root)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileRefusedError, match="a part of 3,000,000,000 bytes"):
        patterns.read_pattern(hostile, 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("kind", ["heads", "steer", "ablate"])
def test_rows_missing_or_doubled_are_passed_over_or_shown(kind: str, tmp_path: Path) -> None:
    saved, root = PLANTS[kind](tmp_path), ResultsRoot(tmp_path)
    name = {"heads": "components", "steer": "effects", "ablate": "ablations"}[kind]
    rows = saved.found[name]
    for changed_rows in (
        rows[:1],
        rows[-1:],
        rows[::2],
        rows * 2,
        [{**row, "layer": 2**31} for row in rows],
        [{**row, "emotion": "joy"} for row in rows],
        [{**row, "layer": at % 1000, "head": at % 997} for at, row in enumerate(rows * 50)],
    ):
        write(root, saved, {**saved.found, name: changed_rows})
        use(root, kind)


_RAISED = {"side": "raised", "rank": 1, "token": "a", "token_id": 1, "logit": 1.0, "random_95": 0.5}
_NAMES = [str(number) for number in range(201)]
_MANY = {"emotion": ["joy"] * 201, "prompt": _NAMES, "projection": [0.0] * 201}
_FORMS: tuple[tuple[str, tuple[Any, ...], Any, str], ...] = (
    ("heads", ("components",), [], "has no rows"),
    ("heads", ("total",), 0, "total is 0"),
    ("heads", ("components", 1, "layer"), 1000, "which no model has"),
    ("heads", ("components", 1, "head"), None, "has no such head"),
    ("heads", ("by_prompt", "emotion"), [str(n) for n in range(3)] * 67, "several lengths"),
    *(
        ("heads", ("by_prompt",), _MANY | more, "more classes or components")
        for more in (
            {"emotion": _NAMES, "contributions": {}},
            {"contributions": dict.fromkeys(_NAMES, [0.0] * 201)},
        )
    ),
    *(
        (kind, (table,), [{}] * 20_001, "has 20,001 rows; a result has at most 20,000")
        for kind, table in {
            "heads": "components",
            "steer": "effects",
            "ablate": "ablations",
            "attention": "heads",
        }.items()
    ),
    ("lens", ("tokens",), [_RAISED], "both ends"),
    ("steer", ("settings", "control_doses"), [], "names no emotion, no layer"),
    ("steer", ("settings", "emotions"), ["anger", "gratitude", *_NAMES[:199]], "201 emotions and"),
    ("steer", ("settings", "n_random"), 0, "n_random is 0; allowed are 100 to"),
    ("steer", ("effects", 0, "emotion"), "joy", "was not asked for"),
    ("steer", ("effects", 0, "layer"), 7, "was not asked for"),
)


@pytest.mark.parametrize(("kind", "at", "value", "why"), _FORMS)
def test_what_a_result_of_its_kind_cannot_say_is_refused(
    tmp_path: Path, kind: str, at: tuple[Any, ...], value: Any, why: str
) -> None:
    saved = PLANTS[kind](tmp_path)
    other = put(saved.found, at, value)
    with pytest.raises(RequestError, match=why):
        check_form(kind, other, saved.rests_on)
    with pytest.raises(RequestError, match=why):
        save_cause(ResultsRoot(tmp_path), kind, saved.rests_on, other)
    assert saved_causes(ResultsRoot(tmp_path), kind) == (saved,)


def test_tokens_of_projected_passages_are_on_one_of_two_sides(tmp_path: Path) -> None:
    found = {**plant_lens(tmp_path).found, "n_passages": 2, "n_tokens": 5, "n_cut": 0}
    found |= {"passages": [{"side": "most", "passage": "Thanks."}]}
    check_form("project", found | {"tokens": [{"side": "least", "token": "a"}]}, {})
    for token in ({"side": "raised", "token": "a"}, {"side": "most", "token": 1}, {"token": "a"}):
        with pytest.raises(RequestError, match=r"found\.tokens"):
            check_form("project", found | {"tokens": [token]}, {})


def test_an_emotion_without_files_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for plant in (plant_steering, plant_ablations, plant_heads):
        plant(tmp_path)
    monkeypatch.setenv("EMOACT_RESULTS", str(tmp_path))
    for page, view in (("causes", "doses"), ("causes", "ablations"), ("heads", "largest")):
        app = open_page(page, view=view)
        assert not app.exception, (page, app.exception)
        assert app.get("plotly_chart")
