"""Parts that pages share: pickers, boxes, tables, charts."""
