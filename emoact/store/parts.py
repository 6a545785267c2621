"""Parts: an emotion with very many prompts is several units, each with a file of its own.

A part is the grain of progress, resume, hashes and shards. An emotion of up to `PART_PROMPTS`
prompts is one part, under the name of the emotion alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass

PART_PROMPTS = 5000
"""Most prompts of a part."""

MOST_PARTS = 100_000

_LABEL = re.compile(r"(.+)\.part-([0-9]{1,6})-of-([0-9]{1,6})")


@dataclass(frozen=True, kw_only=True, order=True)
class Part:
    """One of the parts of an emotion."""

    emotion: str
    number: int = 1
    count: int = 1

    @property
    def label(self) -> str:
        """Name of the unit: the emotion, with number and count where there are several parts.

        The character `.` is in no emotion label.
        """
        if self.count == 1:
            return self.emotion
        width = len(str(self.count))
        return f"{self.emotion}.part-{self.number:0{width}}-of-{self.count}"

    @classmethod
    def of(cls, label: str) -> Part:
        """The part of that name; a label without a part is the only one of its emotion."""
        found = _LABEL.fullmatch(label)
        if found is None:
            return cls(emotion=label)
        part = cls(emotion=found[1], number=int(found[2]), count=int(found[3]))
        is_one = 2 <= part.count <= MOST_PARTS and 1 <= part.number <= part.count
        return part if is_one and part.label == label else cls(emotion=label)

    def slice(self, n_prompts: int) -> slice:
        """Places of its prompts among those of the emotion."""
        return slice(
            n_prompts * (self.number - 1) // self.count, n_prompts * self.number // self.count
        )

    def size(self, n_prompts: int) -> int:
        """Number of its prompts."""
        chosen = self.slice(n_prompts)
        return int(chosen.stop - chosen.start)


def count_parts(n_prompts: int) -> int:
    """Number of parts of an emotion with so many prompts."""
    return max(1, -(-n_prompts // PART_PROMPTS))


def parts_of(emotion: str, n_prompts: int) -> tuple[Part, ...]:
    """The parts of an emotion, as equal as can be; they depend on the number of prompts only."""
    count = count_parts(n_prompts)
    return tuple(Part(emotion=emotion, number=n, count=count) for n in range(1, count + 1))


def absent(there: Collection[int], count: int) -> str:
    """The first numbers from 1 to `count` that are not there, which may be very many."""
    missing = (str(number) for number in range(1, count + 1) if number not in there)
    shown = ", ".join(itertools.islice(missing, 5))
    return shown + (", …" if count - len(there) > 5 else "")
