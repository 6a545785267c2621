"""Three nodes of Ray on this machine, which lose workers and nodes when a test says so."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil

_SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20}
_HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 2,
}
_TRIES = 6
_DECLARED_DEAD_S = 9.0
"""Seconds after which the head has given up a node that does not answer."""


class ThreeNodes:
    """A head node, which stays, and two others, each with room for one worker."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {**_SMALL, "include_dashboard": False, "_system_config": _HEALTH}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._nodes: list[Any] = []
        self.mend()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def mend(self) -> None:
        """Have three nodes again."""
        for _ in range(_TRIES):
            # Ray gives a node 30 s to start, which is too little on a very busy machine.
            with contextlib.suppress(Exception):
                if len(self._nodes) < 2:
                    self._nodes.append(self._cluster.add_node(**_SMALL))
        assert len(self._nodes) == 2

    def workers(self, node: Any = None) -> list[psutil.Process]:
        """Processes of emoact on one node, or on all."""
        found = []
        for each in self._cluster.list_all_nodes() if node is None else [node]:
            try:
                children = psutil.Process(_raylet(each)).children()
                found += [child for child in children if "_Worker" in " ".join(child.cmdline())]
            except psutil.Error:
                continue
        return found

    def kill_worker(self, rng: random.Random) -> bool:
        """SIGKILL to a worker."""
        found = self.workers()
        if found:
            _send(rng.choice(found), signal.SIGKILL)
        return bool(found)

    def kill_node(self, rng: random.Random) -> bool:
        """SIGKILL to a node and its workers; none replaces it until `mend`."""
        if self._nodes:
            node = self._nodes.pop(rng.randrange(len(self._nodes)))
            self._remove(node)
            return True
        return False

    def make_zombie(self, rng: random.Random, then: Callable[[], None] = lambda: None) -> bool:
        """A node that is given up while its worker, which was held up or not, goes on."""
        busy = [node for node in self._nodes if self.workers(node)]
        if not busy:
            return False
        node = rng.choice(busy)
        own = self.workers(node)
        os.kill(_raylet(node), signal.SIGSTOP)
        held = [each for each in own if rng.random() < 0.5 and _send(each, signal.SIGSTOP)]
        time.sleep(_DECLARED_DEAD_S)
        then()
        for each in held:
            _send(each, signal.SIGCONT)
        time.sleep(rng.uniform(0.0, 3.0))
        self._nodes.remove(node)
        self._remove(node)
        return True

    def end(self) -> None:
        self._cluster.shutdown()

    def _remove(self, node: Any) -> None:
        self._cluster.remove_node(node, allow_graceful=False)


def _raylet(node: Any) -> int:
    (started,) = node.all_processes["raylet"]
    return int(started.process.pid)


def _send(process: psutil.Process, number: int) -> bool:
    try:
        process.send_signal(number)
    except psutil.Error:
        return False
    return True
