from pathlib import Path

from tests.support.loaded import loaded
from tests.support.pages import ROOT
from tests.support.planted import plant_grid
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios

PROGRAM = """
from pathlib import Path
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("app.py", default_timeout=60).run()
for page in sorted(Path("pages").glob("*.py")):
    app.switch_page(f"pages/{page.name}").run()
    assert not app.exception, (page, app.exception)
    charts = page.stem in ("activations", "directions", "distances", "across_models")
    assert not charts or app.get("plotly_chart"), page
"""


def test_no_page_imports_what_only_a_worker_needs(results: Path) -> None:
    plant_grid(results, ["gpt2"])
    plant_run(results)
    plant_scenarios(results, "pythia-160m")
    plant_scenarios(results, "gpt-neo-125m")
    plant_analysis(results, models=("pythia-160m", "gpt-neo-125m"))
    packages = loaded(PROGRAM)
    assert {"streamlit", "emoact", "plotly"} <= packages
    worker = {"torch", "transformers", "transformer_lens", "sklearn", "scipy", "matplotlib"}
    assert not packages & worker


def test_every_page_stands_in_the_navigation_and_enters_the_frame(results: Path) -> None:
    """A page that lacks either is shown without its frame on a cold visit."""
    frame = (ROOT / "emoact/ui/frame.py").read_text()
    pages = sorted((ROOT / "pages").glob("**/*.py"))
    assert pages
    for page in pages:
        assert f'"pages/{page.name}"' in frame
        body = page.read_text()
        assert body.index("frame.enter()") < body.index("st.title(")
