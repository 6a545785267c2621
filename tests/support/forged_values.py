"""numpy arrays and torch tensors with one field forged at a time; none of them is honest."""

from collections.abc import Iterator
from typing import Any

from tests.support.assembler import (
    FLOAT_STATE,
    NDARRAY,
    RECONSTRUCT,
    Raw,
    array,
    call,
    dtype,
    frombuffer,
    name,
    nested_storage,
    put,
    scalar,
    storage,
    stream,
    tensor,
)

ORDERED = call(name("collections", "OrderedDict"))
ODD: tuple[Any, ...] = (
    None, -1, 4, 7, 255, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**200, -(2**63), 0.5, float("nan"),
    float("inf"), "", "x", "O", "<", "🙂", b"", b"x", (), (1,), (-1,), (None,), ("a", "b"), [], [1],
    {}, {"a": 1}, array(), dtype(), tensor(), NDARRAY, name("numpy", "dtype"),
    Raw(call(RECONSTRUCT, NDARRAY, (0,), b"b")), storage(),
    ORDERED,
)  # fmt: skip
"""Values of every type, at every edge, for fields that want another one."""

SHAPES: tuple[Any, ...] = (
    (-1,), (-1, -6), (2, -3), (6, 2**62), (2**62, 2**62), (2**63, 2), (2**64, 1), (0, 2**62),
    (2**40, 0), (2**31, 0, 2**31), (2, 3, 2), (7,), (6.0,), (True, 6), (None,), ("6",), (6, ()),
    (1,) * 33 + (6,), (1,) * 65 + (6,), [2, 3], 6, (2, 4), (), (0,), (1, 5), (3, 3),
)  # fmt: skip

CODES: tuple[Any, ...] = (
    "O", "O8", "|O", "object", "V4", "V0", "S4", "S0", "U0", "U-1", "U4294967295", "U99999999999",
    "U1073741825", "c8", "c16", "f16", "M8", "m8", "M8[ns]", "f4,f4", "(2,)f4", "f3", "i16", "F4",
    ">f4", "<f4", "=f4", "float32", "f", "a", "T", "p", "?", "", " ", "f4 ", "f4\0", "e" * 10_000,
    "{'names':['a'],'formats':['O']}", "numpy.object_", "i8, O", "U01", "U٣",
)  # fmt: skip


def dtypes() -> Iterator[tuple[str, Raw]]:
    """A dtype with a forged code, flags, or one forged field of its state."""
    for code in (*CODES, *ODD):
        yield f"dtype code {_shown(code)}", array(kind=dtype(code))
    for at, odd in ((at, odd) for at in range(2) for odd in ODD):
        flags = (odd, True) if at == 0 else (False, odd)
        yield f"dtype flag {at} {_shown(odd)}", array(kind=dtype(flags=flags))
    for at, honest in enumerate(FLOAT_STATE):
        for odd in ODD:
            state = (*FLOAT_STATE[:at], odd, *FLOAT_STATE[at + 1 :])
            if odd is not honest and not (at == 1 and odd == "<"):
                yield f"dtype state {at} {_shown(odd)}", array(kind=dtype(state=state))
    states: tuple[Any, ...] = (
        FLOAT_STATE[:-1], (*FLOAT_STATE, 0), (*FLOAT_STATE, {"a": 1}), (), None, list(FLOAT_STATE),
        (3, "|", None, None, None, -1, -1, 0), (3, "=", None, None, None, -1, -1, 0),
        (3, "<", None, ("a",), {"a": (dtype(), 0)}, 8, 1, 27), (3, "<", None, None, None, 4, 4, 63),
        (3, "<", (dtype(), (2,)), None, None, 8, 4, 0), (4, "<", None, None, None, -1, -1, 0, {}),
        (3, "<", None, (), {}, 0, 1, 16), (3, "<", None, None, None, 2**40, 1, 0),
    )  # fmt: skip
    for state in states:
        yield f"dtype state {state!s:.40}", array(kind=dtype(state=state))
    yield "dtype twice", array(kind=Raw(dtype() + put(FLOAT_STATE) + b"b"))
    yield "dtype never built", array(kind=call(name("numpy", "dtype"), "f4", False, True))
    for size in (0, -1, 3, 5, 2**31, 2**40):
        forged = dtype("U1", (3, "<", None, None, None, size, 4, 8))
        yield f"text dtype of {size} bytes", array(kind=forged)
    for bits in (0, 1, 2, 4, 16, 63, 255, -8):
        forged = dtype("U1", (3, "<", None, None, None, 4, 4, bits))
        yield f"text dtype with flags {bits}", array(kind=forged, shape=(6,))
    text = dtype("U3", (3, "<", None, None, None, 12, 4, 8))
    yield "no characters", array(kind=text, shape=(2,), data=b"\xff" * 24)
    yield "surrogates", array(kind=text, shape=(2,), data=b"\x00\xd8\0\0" * 6)
    truth = dtype("b1", (3, "|", None, None, None, -1, -1, 0))
    yield "no truth values", array(kind=truth, shape=(24,), data=b"\x02" * 24)


def arrays() -> Iterator[tuple[str, Raw]]:
    """An array with one forged field, or with its parts used for what they are not for."""
    for field in ("version", "fortran", "kind", "data", "subtype", "first_shape", "typecode"):
        for odd in ODD:
            honest = (
                (field == "kind" and (odd is None or odd == dtype()))
                or (field == "subtype" and odd == NDARRAY)
            )  # fmt: skip
            if not honest:
                yield f"array {field} {_shown(odd)}", array(**{field: odd})
    for shape in (*SHAPES, *ODD):
        yield f"array shape {_shown(shape)}", array(shape=shape)
        yield f"buffer shape {_shown(shape)}", frombuffer(bytes(24), dtype(), shape, "C")
    for length in (0, 1, 23, 25, 48):
        yield f"array of {length} bytes", array(data=bytes(length))
        yield f"buffer of {length} bytes", frombuffer(bytes(length), dtype(), (2, 3), "C")
    for order in ("A", "K", "c", "", *ODD):
        yield f"order {_shown(order)}", frombuffer(bytes(24), dtype(), (2, 3), order)
    for axes in ((0,), (0, 0), (1, 2), (-1, 0), (0, 1, 2), (1.0, 0), (True, False), *ODD):
        honest_buffer = (bytes(24), dtype(), (2, 3), "K")
        yield f"axes {_shown(axes)}", frombuffer(*honest_buffer, axes)
    for count in (0, 1, 2, 3, 6):
        yield (
            f"buffer with {count} arguments",
            frombuffer(*(bytes(24), dtype(), (2, 3), "C", None, 1)[:count]),
        )
    yield "array twice", Raw(array() + put((1, (2, 3), dtype(), False, bytes(24))) + b"b")
    yield "array never built", call(RECONSTRUCT, NDARRAY, (0,), b"b")
    yield (
        "buffer then state",
        Raw(
            frombuffer(bytes(24), dtype(), (2, 3), "C")
            + put((1, (2**40,), dtype(), False, b""))
            + b"b"
        ),
    )
    for target in (
        NDARRAY, name("numpy", "dtype"), name("numpy._core.numeric", "_frombuffer"), RECONSTRUCT,
        name("_codecs", "encode"), name("collections", "OrderedDict"), storage(), tensor(),
        name("torch.storage", "_load_from_bytes"), put({}), put([]), put("x"), put(()), put(1),
        call(name("collections", "OrderedDict")), scalar(dtype(), bytes(4)),
    ):  # fmt: skip
        for state in ({"__class__": NDARRAY}, (None, {"x": 1}), {}, (1, (1,), dtype(), False, b"")):
            yield f"state on {target[:30]!r}", Raw(target + put(state) + b"b")
    for kind, data in (
        (dtype(), b""), (dtype(), bytes(5)), (dtype(), "x"), (dtype("O8"), b"x"), (None, bytes(4)),
        (dtype(), array()), (NDARRAY, bytes(4)),
        (dtype("U1", (3, "<", None, None, None, 4, 4, 8)), b"\xff" * 4),
        (dtype("b1", (3, "|", None, None, None, -1, -1, 0)), b"\x07"),
    ):  # fmt: skip
        yield f"scalar {kind!s:.20} {data!s:.20}", scalar(kind, data)
    for odd in ODD:
        yield f"encode {_shown(odd)}", call(name("_codecs", "encode"), odd, "utf-8")
        yield f"encode as {_shown(odd)}", call(name("_codecs", "encode"), "x", odd)
        yield f"bytes of {_shown(odd)}", call(name("__builtin__", "bytes"), odd)
        yield f"ordered {_shown(odd)}", call(name("collections", "OrderedDict"), odd)
        yield f"called without a tuple {_shown(odd)}", Raw(RECONSTRUCT + put([odd]) + b"R")
        yield f"called {_shown(odd)}", Raw(put(odd) + put(()) + b"R")


def tensors() -> Iterator[tuple[str, Raw]]:
    """A tensor with one forged argument, or a storage that torch did not write."""
    for field in ("of", "offset", "size", "stride", "gradient", "hooks"):
        for odd in ODD:
            honest = (
                (field == "of" and (odd is None or odd == storage()))
                or (field == "hooks" and (odd is None or odd == ORDERED))
                or (field in ("size", "stride") and odd in ((1,),))
            )  # fmt: skip
            argument: Any = {field: put(odd) if field in ("of", "hooks") else odd}
            if not honest:
                yield f"tensor {field} {_shown(odd)}", tensor(**argument)
    for size, stride, offset in (
        ((4,), (1,), 0), ((3,), (2,), 0), ((3,), (1,), 1), ((2, 2), (2, 1), 0), ((3,), (-1,), 2),
        ((3,), (2**62,), 0), ((2**62,), (0,), 0), ((2**40, 2**40), (0, 0), 0), ((1,), (1,), 3),
        ((1,), (1,), -1), ((3,), (1,), 2**62), ((0, 2**62), (1, 1), 0), ((3,), (1, 1), 0),
        ((), (1,), 0),
        ((), (), 3), ((1,) * 70, (1,) * 70, 0), ((3,), (1.0,), 0), ((3,), (True,), 0),
        ((2**63,), (0,), 0),
    ):  # fmt: skip
        yield f"tensor {size} {stride} {offset}", tensor(size=size, stride=stride, offset=offset)
    yield "gradients of whole numbers", tensor(gradient=True)
    for more in ((None,), ({"conj": True},), ({"__class__": 1},), (1, 2)):
        yield f"tensor and {more}", tensor(more=more)
    fields_of: tuple[dict[str, Any], ...] = (
        {"type_name": "torch\nQInt8Storage"}, {"type_name": "torch\nComplexFloatStorage"},
        {"type_name": "torch.cuda\nLongStorage"}, {"type_name": "torch.storage\nUntypedStorage"},
        {"type_name": "posix\nsystem"}, {"type_name": "torch\nStorage"}, {"location": "cuda:0"},
        {"location": "meta"}, {"location": "mps"}, {"location": "privateuseone"}, {"numel": 2},
        {"numel": 4}, {"numel": -1}, {"numel": 2**62}, {"numel": None}, {"numel": "3"},
        {"count": 2},
        {"count": 4}, {"count": -1}, {"count": 2**62}, {"data": b""}, {"data": bytes(23)},
        {"data": bytes(25)}, {"tail": b"."}, {"view": ("1", 0, 3)}, {"view": {}}, {"key": "x"},
        {"key": ""}, {"key": "1" * 300}, {"keys": ["2"]}, {"keys": []}, {"keys": ["1", "1"]},
        {"kind": "module"}, {"kind": ""}, {"magic": 1}, {"magic": 0x1950A86A20F9469CFC6D},
    )  # fmt: skip
    for fields in fields_of:
        yield f"storage {fields!s:.40}", tensor(of=storage(**fields))
        yield f"storage alone {fields!s:.40}", storage(**fields)
    honest = nested_storage()
    for end in range(len(honest)):
        yield f"storage cut at {end}", tensor(of=storage(honest[:end]))
    for at in range(len(honest) - 32):
        for flip in (0x01, 0x80):
            bent = honest[:at] + bytes([honest[at] ^ flip]) + honest[at + 1 :]
            if at not in _FREE:
                yield f"storage bit {flip} of {at}", tensor(of=storage(bent))
    for odd in ODD:
        yield f"storage of {_shown(odd)}", call(name("torch.storage", "_load_from_bytes"), odd)
    yield "storage as a value", storage()


_KEY = nested_storage().index(b"1X\x03\0\0\0cpu")
_LONG = nested_storage().index(b"longK") + 5
_FREE = frozenset({_KEY, _LONG, nested_storage().rindex(b"]X\x01\0\0\0") + 6})
"""Bytes that may differ between machines: the key, and the size of a C long."""


def forged() -> Iterator[tuple[str, bytes]]:
    """Every forged value, in a file of its own and inside a list."""
    for title, raw in (*dtypes(), *arrays(), *tensors()):
        yield title, stream(raw)
        yield f"{title}, listed", stream([array(), raw])


def _shown(value: object) -> str:
    return f"{value!r:.30}"
