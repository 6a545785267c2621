"""A reporter for runs in the process of a test."""

from collections.abc import Callable

from emoact.errors import CancelledError
from emoact.extraction.extractor import Quiet


class Told(Quiet):
    """Keeps what it is told; its run is cancelled once `stop` holds."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.stop = stop
        self.units: list[tuple[str, str]] = []
        self.details: list[str] = []
        self.notes: list[str] = []

    def unit(self, *event: object, **fields: object) -> None:
        self.units.append((str(event[0]), str(fields["emotion"])))

    def step(self, *_: object, **fields: object) -> None:
        self.details.append(str(fields.get("detail", "")))

    def note(self, *words: object, **_: object) -> None:
        self.notes += map(str, words)

    def check_cancelled(self) -> None:
        if self.stop():
            raise CancelledError("the run was cancelled")

    @property
    def saved(self) -> list[str]:
        """Labels of the units that were saved."""
        return [label for event, label in self.units if event == "unit_saved"]
