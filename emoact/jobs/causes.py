"""Request of a run about causes: heads, ablation, steering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emoact.decode import decode
from emoact.errors import RequestError
from emoact.jobs.config import AnyConfig, JobConfig
from emoact.models.alike import ModelRequest


@dataclass(frozen=True, kw_only=True)
class CausesRequest:
    """Request of a run about causes; the code of its kind checks what is `asked`."""

    what: str
    model: ModelRequest
    asked: Mapping[str, Any]


def causes_of(config: AnyConfig) -> CausesRequest:
    """The request in the config of a run about causes; `RequestError` for another kind of run."""
    if not isinstance(config, JobConfig) or config.kind != "causes":
        raise RequestError(f"run {config.run_id!r} is not about causes but {config.kind!r}")
    return decode(CausesRequest, config.request, where="the request")
