"""Pages of the dashboard without a browser: opened, read, clicked, and typed into a shell."""

import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest

from emoact.cli import main

ROOT = Path(__file__).resolve().parents[2]
_PROSE = ("markdown", "caption", "warning", "error", "info")


class Page(AppTest):
    """A page of which no run may raise, whatever was clicked."""

    def _run(self, *arguments: Any, **options: Any) -> AppTest:
        super()._run(*arguments, **options)
        assert not self.exception, self.exception
        return self


def open_page(page: str, **parameters: Any) -> AppTest:
    """A page through `app.py`, with the parameters of an address."""
    app = Page(str(ROOT / "app.py"), default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    if page != "home":
        app.run()
        for name, value in parameters.items():
            app.query_params[name] = value
        app.switch_page(f"pages/{page}.py")
    return app.run()


def words(app: AppTest) -> str:
    """What a page says, without the escapes of Markdown."""
    elements: list[Any] = [element for kind in _PROSE for element in app.get(kind)]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def boxes(app: AppTest) -> str:
    """Titles and texts of the errors of a page, as they are in Markdown."""
    return "\n".join(f"{box.proto.title}\n{box.value}" for box in app.error)


def choices(app: AppTest) -> dict[str, list[str]]:
    """Options of the controls that show all of theirs, by label."""
    # Streamlit's own name for a segmented control.
    return {group.label: group.options for group in app.button_group}


def figure(app: AppTest) -> dict[str, Any]:
    """The first chart of a page, as plotly's JSON."""
    found: dict[str, Any] = json.loads(app.get("plotly_chart")[0].proto.spec)
    return found


def click(app: AppTest, label: str) -> AppTest:
    """The page after a click on a button."""
    return next(button for button in app.button if button.label == label).click().run()


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
