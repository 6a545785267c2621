"""The unit key: equal for equal content, different for every difference."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from emoact.errors import EmoactError
from emoact.store.keys import differences, unit_key

CONFIGURATION: dict[str, Any] = {
    "model_name": "gpt2",
    "revision": None,
    "processing": "raw",
    "sites": ["resid_pre", "mlp_out"],
    "bos": {"policy": "prepend", "token_id": 50256},
    "truncate": False,
    "schema_version": 1,
}
TOKENS = [np.array([50256, 10, 11]), np.array([50256, 12])]


def test_the_key_is_the_hash_of_lengths_canonical_json_and_little_endian_ids() -> None:
    parts = [
        json.dumps(CONFIGURATION, sort_keys=True, separators=(",", ":")).encode(),
        b"".join(value.to_bytes(8, "little") for value in (50256, 10, 11)),
        b"".join(value.to_bytes(8, "little") for value in (50256, 12)),
    ]
    data = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    assert unit_key(CONFIGURATION, TOKENS) == hashlib.sha256(data).hexdigest()


def test_the_order_of_fields_and_the_kind_of_sequence_decide_nothing() -> None:
    turned = dict(reversed(CONFIGURATION.items())) | {"sites": ("resid_pre", "mlp_out")}
    turned["bos"] = dict(reversed(CONFIGURATION["bos"].items()))
    assert unit_key(turned, TOKENS) == unit_key(CONFIGURATION, TOKENS)
    assert differences(CONFIGURATION, turned) == []


@pytest.mark.parametrize(
    "change",
    [
        {"revision": ""},
        {"revision": "None"},
        {"sites": ["mlp_out", "resid_pre"]},
        {"bos": {"policy": "none", "token_id": 50256}},
        {"truncate": 0},
        {"schema_version": "1"},
        {"schema_version": True},
        {"extra": None},
    ],
    ids=str,
)
def test_every_change_of_a_field_changes_the_key(change: dict[str, Any]) -> None:
    assert unit_key(CONFIGURATION | change, TOKENS) != unit_key(CONFIGURATION, TOKENS)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        TOKENS[:1],
        TOKENS[::-1],
        [*TOKENS, np.array([], dtype=np.int64)],
        [np.array([50256, 10]), np.array([11, 50256, 12])],
        [np.array([50256, 10, 11, 50256, 12])],
        [np.array([50256, 10, 12]), np.array([50256, 12])],
    ],
    ids=str,
)
def test_every_change_of_the_tokens_changes_the_key(tokens: list[Any]) -> None:
    assert unit_key(CONFIGURATION, tokens) != unit_key(CONFIGURATION, TOKENS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"a": 0.5}, "a is a float"),
        ({"a": {"b": [1, np.int64(2)]}}, r"a.b\[1\] is a int64"),
        ({"a": {1: 2}}, "a has the key 1"),
        ({"a": {"x"}}, "a is a set"),
    ],
)
def test_values_of_no_one_spelling_are_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(EmoactError, match=field):
        unit_key(change, [])


@pytest.mark.parametrize(
    ("saved", "asked", "told"),
    [
        ({"a": 1}, {"a": 1, "weight_sha256": "f"}, []),
        ({"a": 1, "weight_sha256": "f"}, {"a": 1}, []),
        ({"weight_sha256": "e"}, {"weight_sha256": "f"}, ['weight_sha256: saved "e", asked "f"']),
        ({"a": True}, {"a": 1}, ["a: saved true, asked 1"]),
    ],
)
def test_weights_that_one_side_does_not_state_are_no_difference_and_a_bool_is_one(
    saved: dict[str, Any], asked: dict[str, Any], told: list[str]
) -> None:
    assert differences(saved, asked) == told


def test_differences_name_the_field_and_both_values() -> None:
    asked = CONFIGURATION | {
        "processing": "tl_compat",
        "bos": {"policy": "none", "token_id": 50256},
        "dtype": "float32",
    }
    del asked["revision"]
    assert differences(CONFIGURATION, asked) == [
        'bos.policy: saved "prepend", asked "none"',
        'dtype: saved nothing, asked "float32"',
        'processing: saved "raw", asked "tl_compat"',
        "revision: saved null, asked nothing",
    ]
