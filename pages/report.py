"""One document of everything on disk, for other readers."""

import streamlit as st

from emoact.ui import folders, frame, path, report_page
from emoact.ui.reading import reports_of, unit_files

frame.enter()
st.title("Report")
st.caption(
    "Models, files, norms, findings, audit, directions and causes of this folder in one document."
)

results = folders.results_folder()
files = unit_files(results)
report_page.say(results, files, reports_of(results))
report_page.make(report_page.ask(results), possible=bool(files))
report_page.show(reports_of(results))
path.show(results, after="Report", primary=False)
