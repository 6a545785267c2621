"""Views: controls, table, figure and answer of each question, in one file each."""
