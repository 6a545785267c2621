import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact.decode import decode, parsed
from emoact.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    size: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    number: int
    kind: Literal["a", "b"]
    inner: tuple[Inner, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    pairs: tuple[tuple[float, float], ...] = ()
    anything: Any = None
    either: int | float | str | None = None


GOOD = {
    "number": 3,
    "kind": "a",
    "inner": [{"name": "x", "size": 2}, {"name": "y"}],
    "counts": {"p": 1},
    "pairs": [[1, 2.5]],
    "anything": [None, {"k": 1}],
}


def test_nested_values_arrive_in_their_types() -> None:
    assert decode(Outer, GOOD) == Outer(
        number=3,
        kind="a",
        inner=(Inner(name="x", size=2.0), Inner(name="y")),
        counts={"p": 1},
        pairs=((1.0, 2.5),),
        anything=[None, {"k": 1}],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": "3"}, "number is str '3'; int is expected"),
        ({"number": 10**400}, "number is 1000"),
        ({"inner": [{"name": "x", "size": 10**400}]}, "inner[0].size is 1000"),
        ({"inner": [{"name": "x", "size": float("inf")}]}, "inner[0].size is inf"),
        ({"inner": [{"name": "x", "size": float("nan")}]}, "inner[0].size is nan"),
        ({"number": True}, "number is bool True; int is expected"),
        ({"number": 3.0}, "number is float 3.0; int is expected"),
        ({"number": None}, "number is NoneType None; int is expected"),
        ({"kind": "c"}, "kind is 'c'; allowed are a, b"),
        ({"kind": ["a"]}, "kind is"),
        ({"inner": {}}, "inner is dict"),
        ({"inner": [3]}, "inner[0]: an object is expected, found int 3"),
        ({"inner": [{}]}, "inner[0].name: this field is missing"),
        ({"inner": [{"name": "x", "extra": 1}]}, "inner[0].extra: this field is unknown"),
        ({"inner": [{"name": "x", "size": "big"}]}, "inner[0].size is str 'big'"),
        ({"counts": {"p": 1.5}}, "counts.p is float 1.5"),
        ({"counts": []}, "counts is list"),
        ({"pairs": [[1]]}, "pairs[0] has 1 items; 2 are expected"),
        ({"either": []}, "either is list []; str is expected"),
        ({"other": 1}, "other: this field is unknown"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(Outer, {**GOOD, **change})
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("value", [3, 2.5, "x", None])
def test_a_value_of_one_of_several_types_is_taken(value: object) -> None:
    found = decode(Outer, {**GOOD, "either": value}).either
    assert found == value
    assert type(found) is type(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(
    json_values
    | st.dictionaries(st.sampled_from(["number", "kind", "inner", "counts", "pairs"]), json_values)
)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    try:
        found = decode(Outer, value)
    except RequestError:
        return
    assert type(found.number) is int
    assert found.kind in ("a", "b")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "Expecting property name"),
        (b'{"a": "\xff"}', "invalid start byte"),
        (b'"\\ud800"', "surrogates not allowed"),
        (b'{"\\uDfff": 1}', "surrogates not allowed"),
        ("\ud800".join('""').encode(errors="surrogatepass"), "invalid continuation byte"),
        (b"1" + b"0" * 5_000, "4300 digits"),
        *((b"[" * n + b"]" * n, "nested too deeply") for n in (61, *range(700, 1000, 20), 300_000)),
        *((b'{"a":' * n + b"1" + b"}" * n, "nested too deeply") for n in (61, 900, 990, 5_000)),
        *((b"[" + each * 4_000_000 + b"1]", "4,000,000 values") for each in (b"[],", b"{},")),
    ],
    ids=lambda each: f"{each[:20]!r}-{len(each)}",
)
def test_json_that_nobody_can_show_or_walk_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsed(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_json_is_read_as_json_reads_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert parsed(text.encode()) == value
    assert parsed(b"[" * 60 + b'"\\ud83d\\ude00"' + b"]" * 60)
