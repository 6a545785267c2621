"""No module opens a file past the readers that wait for no pipe and follow no link."""

import ast
from pathlib import Path

import emoact

PACKAGE = Path(emoact.__file__).parent
OWN = "a file of the system, of the package or of the user's own cache"
CHECKED = "checked right before by `open_regular`, `check_header` or a hash"
WRITES = "opened to write or to lock, without waiting and without following a link"
OWN_FILES = """
    bench/peak.py cli/entry.py jobs/machine.py models/cache.py models/hosts.py models/install.py
    report/document.py report/words.py report/worker.py ui/chart.py
"""
CHECKED_FILES = """
    analysis/direction_files.py models/weights.py store/controls.py
    store/summaries/summary_file.py ui/analysis_page.py
"""
WRITTEN_FILES = """
    analysis/save.py host/client.py host/worker.py jobs/control.py jobs/directory.py jobs/events.py
    jobs/lock.py store/atomic.py store/locks.py
"""
ALLOWED = {
    **dict.fromkeys(("files.py", "store/read/closed.py"), "a reader itself"),
    **dict.fromkeys(OWN_FILES.split(), OWN),
    **dict.fromkeys(CHECKED_FILES.split(), CHECKED),
    **dict.fromkeys(WRITTEN_FILES.split(), WRITES),
    "analysis/room.py": "maps a file without a name, that it made itself",
    "store/objects.py": "object storage, which has neither pipes nor links",
}
"""Modules that open a file themselves, and why that is right."""


def opened(module: Path) -> list[str]:
    """Calls of a module that open or read a file by its path."""
    found = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        modes = [a.value for a in node.args[:2] if isinstance(a, ast.Constant)]
        writes = any(isinstance(mode, str) and set(mode) & set("wax") for mode in modes)
        reads = called.endswith((".read_text", ".read_bytes", ".memmap", ".mmap"))
        reads |= called in ("open", "os.open", "safe_open", "io.open")
        reads |= called.endswith(
            (".read_csv", ".read_parquet", ".fromfile", "np.load", "torch.load")
        )
        reads |= called.endswith(".open") and not (node.args or node.keywords)
        reads |= called.endswith(".open") and any(m in ("r", "rb") for m in modes)
        reads |= called.endswith(".open") and any(k.arg == "encoding" for k in node.keywords)
        if reads and not writes:
            found.append(f"{called} in line {node.lineno}")
    return found


def test_every_file_is_read_by_a_reader_that_neither_waits_nor_follows_links() -> None:
    found = {
        str(module.relative_to(PACKAGE)): calls
        for module in sorted(PACKAGE.rglob("*.py"))
        if (calls := opened(module))
    }
    others = {name: calls for name, calls in found.items() if name not in ALLOWED}
    assert not others, "use emoact.files.open_regular or emoact.decode, or say here why not"
    assert set(ALLOWED) <= set(found)
