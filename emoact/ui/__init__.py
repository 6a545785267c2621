"""What the pages share: words, numbers, pickers, boxes."""
