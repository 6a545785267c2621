from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@pytest.fixture(autouse=True, scope="module")
def _one_thread_per_product() -> Iterator[None]:
    """Many small matrices: threads of the linear algebra would wait for one another."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
