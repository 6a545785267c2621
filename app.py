"""The dashboard: `streamlit run app.py`."""

from emoact.ui.frame import open_frame

open_frame().run()
