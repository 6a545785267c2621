"""Activations on their way from a device to the host, one wait per pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from emoact.sites import SiteName

Key = tuple[SiteName, int]


class Staging:
    """Copies that run while the device goes on computing.

    Each activation is copied into page-locked memory without waiting for it; `take` waits once for
    all of them. The buffers are used again by the next pass, so there is one pass of them.

    Args:
        device: Where the activations come from; on a CPU the copies are done at once.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pinned = device.type == "cuda"
        self._buffers: dict[Key, torch.Tensor] = {}
        self._waiting: list[tuple[Key, torch.Tensor]] = []

    def add(self, key: Key, rows: torch.Tensor) -> None:
        """Begin to copy the rows of one site of one layer."""
        target = self._room(key, rows)
        target.copy_(rows.detach(), non_blocking=self._pinned)
        self._waiting.append((key, target))

    def take(self) -> Iterator[tuple[Key, torch.Tensor]]:
        """Wait for the copies, then give each; valid until the next `add`."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def _room(self, key: Key, rows: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get(key)
        fits = buffer is not None and buffer.dtype == rows.dtype and len(buffer) >= len(rows)
        if buffer is None or not fits:
            buffer = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=self._pinned)
            self._buffers[key] = buffer
        return buffer[: len(rows)]
