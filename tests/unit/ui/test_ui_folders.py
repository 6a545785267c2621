from __future__ import annotations

import os
from pathlib import Path

from emoact.store.layout import results_folders


def test_the_folders_of_the_environment_in_order_and_each_once() -> None:
    named = os.pathsep.join(["/b", "/a", "", "/b"])
    assert results_folders({"EMOACT_RESULTS": named}) == ["/b", "/a"]


def test_without_any_the_folder_is_called_results() -> None:
    assert results_folders({}) == ["results"]
    assert results_folders({"EMOACT_RESULTS": ""}) == ["results"]


def test_the_small_example_beside_a_folder_can_be_picked(tmp_path: Path) -> None:
    folder = str(tmp_path / "results")
    assert results_folders({"EMOACT_RESULTS": folder}) == [folder]
    (tmp_path / "results-demo").mkdir()
    assert results_folders({"EMOACT_RESULTS": folder}) == [folder, f"{folder}-demo"]
