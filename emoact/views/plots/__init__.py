"""Arrays and rows in, plotly figures out; no Streamlit, no files."""
