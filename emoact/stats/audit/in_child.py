"""An audit in a process of its own, so that whoever waits for it does not compute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from emoact.errors import EmoactError, RequestError
from emoact.stats.audit.outcome import AuditReport

_ROOT = str(Path(__file__).resolve().parents[3])
_PATIENCE_S = 300.0


def audit_in_child(dataset_path: str | os.PathLike[str]) -> AuditReport:
    """The report of `emoact audit` on a file.

    Raises:
        RequestError: The data set is malformed.
        EmoactError: The audit failed, or took more than five minutes.
    """
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-P", "-m", "emoact", "audit", "--json", "--dataset"]
    try:
        done = subprocess.run(
            [*command, os.fspath(dataset_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        document = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise EmoactError(
            f"the audit took more than {_PATIENCE_S:.0f} s",
            remedy="Audit it in a shell: `python -m emoact audit`.",
        ) from error
    except ValueError as error:
        raise EmoactError(
            "the audit ended without a result",
            remedy="Audit it in a shell: `python -m emoact audit` shows why.",
        ) from error
    if "error" in document:
        stated = document["error"]
        raise RequestError(stated["message"], remedy=stated["remedy"])
    return AuditReport.from_json(document)
