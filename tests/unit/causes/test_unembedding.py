"""Log-probabilities from candidates equal those from all logits, and are refused where not."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emoact.causes.unembedding import Unembedding
from tests.support.families import tiny_config
from tests.support.tiny_models import seeded_model

D_VOCAB = 2_000


@pytest.fixture(scope="module")
def model() -> Any:
    """A tiny model whose next token is known about as well as that of a trained one."""
    made = seeded_model(tiny_config("llama", D_VOCAB))
    with torch.no_grad():
        made.lm_head.weight *= 40
    return made


def states(model: Any, n: int, size: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One hidden state, and others near it."""
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(model.config.hidden_size, generator=generator)
    change = torch.randn((n, len(before)), generator=generator)
    return before, before + size * change


def expected(model: Any, hidden: torch.Tensor, token: int) -> np.ndarray:
    logits = hidden.double() @ model.lm_head.weight.detach().double().T
    found: np.ndarray = torch.log_softmax(logits, dim=1)[:, token].numpy()
    return found


def test_all_logits_give_the_log_softmax(model: Any) -> None:
    _, hidden = states(model, 30, 1.0)
    found = Unembedding(model).exact(hidden, torch.full((30,), 7))
    np.testing.assert_allclose(found, expected(model, hidden, 7), atol=1e-5)


def test_candidates_give_the_log_softmax_where_they_say_so(model: Any) -> None:
    unembedding = Unembedding(model, n_top=150, n_drawn=90)
    assert unembedding.wants_candidates(30)
    assert not unembedding.wants_candidates(3)
    before, hidden = states(model, 30, 0.001)
    found, uncertain = unembedding.estimated(hidden, before, (1, 2), 7)
    assert not uncertain.any()
    np.testing.assert_allclose(found.numpy(), expected(model, hidden, 7), atol=3e-5)
    # The same states again are estimated from the same draws.
    again, _ = unembedding.estimated(hidden, before, (1, 2), 7)
    assert torch.equal(found, again)


def test_states_far_from_the_draws_are_left_to_all_logits(model: Any) -> None:
    before, hidden = states(model, 30, 3.0)
    _, uncertain = Unembedding(model, n_top=50, n_drawn=50).estimated(hidden, before, (1,), 7)
    assert uncertain.all()


def test_a_model_whose_logits_are_more_than_one_linear_map_is_noticed(model: Any) -> None:
    assert Unembedding(model).holds

    class Capped(nn.Module):
        """Logits behind a tanh, as in Gemma 2."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def get_output_embeddings(self) -> Any:
            return model.lm_head

        def forward(self, **kwargs: Any) -> Any:
            output = model(**kwargs)
            output.logits = 2 * torch.tanh(output.logits / 2)
            return output

    assert not Unembedding(Capped()).holds
