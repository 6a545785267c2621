"""Relabelling: labels exchanged within scenarios, as the null hypothesis allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8

from emoact.errors import RequestError
from emoact.stats.design import Design
from emoact.stats.room import MEMORY, Room, set_down

OUTSIDE = -1
"""Group of a prompt that takes no part."""

_BLOCK = 1 << 11
"""Prompts or scenarios, a multiple of 8, after which a file is set down."""

_AT_ONCE = 1 << 20
"""Random numbers that are sorted at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labellings:
    """Rows of True and False for prompts, eight to a byte; a slice of rows unpacks them."""

    bits: UInt8[np.ndarray, "draw byte"]
    n_prompts: int

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, rows: slice) -> Bool[np.ndarray, "draw prompt"]:
        found = np.unpackbits(self.bits[rows], axis=1, count=self.n_prompts)
        set_down(self.bits)
        return np.asarray(found.view(np.bool_))

    def first(self, n_draws: int) -> Labellings:
        """The first rows."""
        return Labellings(bits=self.bits[:n_draws], n_prompts=self.n_prompts)

    def only(self, used: Int[np.ndarray, " used"], room: Room = MEMORY) -> Labellings:
        """The rows of some of the prompts."""
        if len(used) == self.n_prompts:
            return self
        at_once = max(1, _AT_ONCE // self.n_prompts)
        bits = room.table((len(self), -(-len(used) // 8)), np.uint8)
        for at in range(0, len(self), at_once):
            bits[at : at + at_once] = np.packbits(self[at : at + at_once][:, used], axis=1)
            set_down(bits)
        return Labellings(bits=bits, n_prompts=len(used))


def relabellings(
    design: Design,
    emotion: str,
    reference: Sequence[str],
    n_permutations: int = 2000,
    *,
    seed: int = 0,
    room: Room = MEMORY,
) -> Labellings:
    """True for the prompts that count as the emotion; row 0 is the truth, the others are shuffled.

    Raises:
        RequestError: A label is missing, or fewer than 1 permutation is asked for.
    """
    groups = np.full(design.n_prompts, OUTSIDE)
    for label in reference:
        groups[design.label_of == design.index(label)] = 0
    groups[design.label_of == design.index(emotion)] = 1
    # Of very many prompts a byte for each label is too much: eight draws of a prompt are one.
    packed = room.table((design.n_prompts, n_permutations // 8 + 1), np.uint8)
    moves = _moves(design, groups, n_permutations, seed=seed)
    for number, (rows, members, moved) in enumerate(moves):
        chosen = moved == 1
        if rows.start == 1:
            chosen = np.vstack([groups[members] == 1, chosen])
        own = np.packbits(chosen, axis=0).T
        packed[members, rows.start // 8 : rows.start // 8 + own.shape[1]] = own
        if number % _BLOCK == 0 or len(members) > _BLOCK:
            set_down(packed)
    bits = room.table((1 + n_permutations, -(-design.n_prompts // 8)), np.uint8)
    for start in range(0, design.n_prompts, _BLOCK):
        drawn = np.unpackbits(packed[start : start + _BLOCK], axis=1, count=1 + n_permutations)
        own = np.packbits(drawn, axis=0).T
        bits[:, start // 8 : start // 8 + own.shape[1]] = own
        set_down(packed)
        set_down(bits)
    return Labellings(bits=bits, n_prompts=design.n_prompts)


def shuffled_groups(
    design: Design, groups: Int[np.ndarray, " prompt"], n_permutations: int, *, seed: int = 0
) -> Int[np.ndarray, "draw prompt"]:
    """Groups of the prompts; row 0 is the truth, the others are shuffled.

    Labels move between the prompts of one scenario only; shuffling them over scenarios too would
    test another null. A scenario that holds equally many prompts of each of its groups exchanges
    the groups as wholes, because prompts of one scenario and class may be alike. Scenarios that
    hold a single group exchange it as wholes; without scenarios that is a shuffle of the prompts.
    The draws depend on the order of the names of scenarios and prompts, and neither on the labels
    nor on the order of the files.

    Raises:
        RequestError: Fewer than 1 permutation is asked for.
    """
    groups = groups.astype(np.int8 if groups.max(initial=0) < 128 else np.int16)
    draws = np.tile(groups, (1 + n_permutations, 1))
    for rows, members, moved in _moves(design, groups, n_permutations, seed=seed):
        draws[rows, members] = moved
    return draws


def _moves(
    design: Design, groups: Int[np.ndarray, " prompt"], n_permutations: int, *, seed: int
) -> Iterator[tuple[slice, Int[np.ndarray, " member"], Int[np.ndarray, "draw member"]]]:
    """Groups of some prompts in some draws; a slice begins at draw 1 or at a multiple of 8."""
    if n_permutations < 1:
        raise RequestError(f"n_permutations is {n_permutations}; at least 1 is needed")
    rng = np.random.default_rng([seed, 4])
    wholes: list[Int[np.ndarray, " member"]] = []
    order = np.lexsort((design.rank, design.scenario_of))
    order = order[groups[order] != OUTSIDE]
    starts = np.flatnonzero(np.diff(design.scenario_of[order])) + 1
    for members in np.split(order, starts):
        own = groups[members].tolist()
        names = list(dict.fromkeys(own))
        if len(names) > 1:
            equal = len({own.count(name) for name in names}) == 1
            # What is exchanged: the groups of the scenario, or its single prompts.
            held = np.array(names if equal else own, dtype=groups.dtype)
            place = [names.index(name) for name in own] if equal else list(range(len(own)))
            drawn = rng.random((n_permutations, len(held)))
            # Of two, a comparison gives the same order in a fraction of the time.
            two = len(held) == 2
            moved = (drawn[:, :1] > drawn[:, 1:]) ^ [0, 1] if two else drawn.argsort(axis=1)
            yield slice(1, 1 + n_permutations), members, held[moved][:, place]
        elif len(members):
            wholes.append(members)
    if wholes:
        single = np.array([groups[members[0]] for members in wholes])
        whole_of = np.repeat(np.arange(len(wholes)), [len(members) for members in wholes])
        columns = np.concatenate(wholes)
        at_once = 8 * max(1, _AT_ONCE // (8 * len(wholes)))
        for start in range(0, 1 + n_permutations, at_once):
            rows = slice(max(start, 1), min(start + at_once, 1 + n_permutations))
            order = rng.random((rows.stop - rows.start, len(wholes))).argsort(axis=1)
            yield rows, columns, single[order][:, whole_of]
