"""The commands that a page shows, typed into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

from emoact.cli import main


def in_a_shell(app: AppTest, scratch: Path, number: int = 0) -> pd.DataFrame:
    """The table that a command on the page writes."""
    shown = [text.value for text in app.caption if text.value.startswith("In a shell: `")]
    python, flag, emoact, *command = shlex.split(shown[number].removeprefix("In a shell: ")[1:-1])
    assert (python, flag, emoact) == ("python", "-m", "emoact")
    at = command.index("--csv") + 1
    command[at] = str(scratch / command[at])
    assert main(command) == 0
    return pd.read_csv(command[at], keep_default_na=False, na_values=[""])


def assert_same_rows(shell: pd.DataFrame, page: pd.DataFrame) -> None:
    """True when two tables have the same rows and columns, in any order."""
    assert list(shell.columns) == list(page.columns)
    keys = [name for name in page.columns if page[name].dtype.kind != "f"]
    left, right = (data.sort_values(keys).reset_index(drop=True) for data in (shell, page))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-12)
