"""Findings of one check, gathered so that a thousand broken arrays make one line."""

from __future__ import annotations

from collections.abc import Iterator

from emoact.schema import Finding, Severity


class Findings:
    """Collects findings; of each code the first is told and the rest are counted."""

    def __init__(self) -> None:
        self._first: dict[str, Finding] = {}
        self._count: dict[str, int] = {}

    def add(
        self, code: str, severity: Severity, where: str, message: str, remedy: str = ""
    ) -> None:
        """Note a finding at `where`, which names the field."""
        self._count[code] = self._count.get(code, 0) + 1
        if code not in self._first:
            self._first[code] = Finding(
                code=code, severity=severity, where=where, message=message, remedy=remedy
            )

    def error(self, code: str, where: str, message: str, remedy: str = "") -> None:
        """Note something that makes the file unusable."""
        self.add(code, "error", where, message, remedy)

    def warning(self, code: str, where: str, message: str, remedy: str = "") -> None:
        """Note something that is wrong and can be lived with."""
        self.add(code, "warning", where, message, remedy)

    def note(self, code: str, where: str, message: str, remedy: str = "") -> None:
        """Note something that a reader should know."""
        self.add(code, "note", where, message, remedy)

    def __iter__(self) -> Iterator[Finding]:
        for code, finding in self._first.items():
            more = self._count[code] - 1
            yield (
                finding
                if not more
                else Finding(
                    code=code,
                    severity=finding.severity,
                    where=finding.where,
                    message=f"{finding.message} (and {more:,} more like it)",
                    remedy=finding.remedy,
                )
            )

    @property
    def has_errors(self) -> bool:
        """True when the file is unusable."""
        return any(finding.severity == "error" for finding in self._first.values())
