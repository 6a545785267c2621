"""The report of a results folder: one document, in English or Japanese, as HTML or Markdown."""
