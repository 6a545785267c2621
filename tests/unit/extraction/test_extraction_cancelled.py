from collections.abc import Sequence
from typing import Any

import pytest

from emoact.errors import CancelledError
from emoact.extraction.engine import Tokenised
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from tests.support.numpy_engine import NumpyEngine, numpy_engine
from tests.support.stand_in_world import World


def test_a_pass_is_left_at_the_next_layer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[object, ...]] = []
    forward = NumpyEngine.forward

    def watched(self: NumpyEngine, prompts: Sequence[Tokenised], *, put: Any, on_pass: Any) -> Any:
        def told(*array: Any) -> None:
            computed.append(array[:2])
            put(*array)

        return forward(self, prompts, put=told, on_pass=on_pass)

    class Cancelled(Quiet):
        """A reporter whose run is cancelled while its first pass is under way."""

        def check_cancelled(self) -> None:
            if computed:
                raise CancelledError("the run was cancelled")

    monkeypatch.setattr(NumpyEngine, "forward", watched)
    with pytest.raises(CancelledError):
        run_units(
            world.config(world.model()), reporter=Cancelled(), plans={}, engine_for=numpy_engine
        )
    assert len(computed) == 1
