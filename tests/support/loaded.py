"""What a Python process loads."""

import subprocess
import sys

from tests.support.pages import ROOT


def loaded(code: str) -> set[str]:
    """Packages that a process of its own has loaded after the code, which must not fail."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint()\nprint(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
