"""Every unit of a results folder, and the files that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emoact.errors import RequestError
from emoact.schema import Finding
from emoact.store.unit import Unit


@dataclass(frozen=True, kw_only=True, repr=False)
class Grid:
    """Units in the order of folder and emotion; iterating gives the units.

    Attributes:
        units: The files that keep the contract.
        problems: One finding per refused file; `where` is its path.
    """

    units: tuple[Unit, ...]
    problems: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        """Numbers of units and refused files, with the names of models and emotions."""
        return (
            f"Grid({len(self.units)} units: {', '.join(self.folders) or 'no models'}; "
            f"{', '.join(self.emotions) or 'no emotions'}; {len(self.problems)} refused)"
        )

    def __iter__(self) -> Iterator[Unit]:
        return iter(self.units)

    def __len__(self) -> int:
        return len(self.units)

    @property
    def folders(self) -> tuple[str, ...]:
        """Model folders that have a unit."""
        return tuple(dict.fromkeys(unit.folder for unit in self.units))

    @property
    def emotions(self) -> tuple[str, ...]:
        """Emotions that have a unit."""
        return tuple(dict.fromkeys(unit.emotion for unit in self.units))

    def of(self, folder: str) -> tuple[Unit, ...]:
        """The units of one model folder."""
        return tuple(unit for unit in self.units if unit.folder == folder)

    def unit(self, folder: str, emotion: str) -> Unit:
        """One unit.

        Raises:
            RequestError: It is not there.
        """
        for unit in self.units:
            if unit.folder == folder and unit.emotion == emotion:
                return unit
        raise RequestError(
            f"there is no readable file of {emotion!r} for {folder!r}",
            remedy=f"Extract it, or choose among {', '.join(self.folders) or 'no models yet'}.",
        )
