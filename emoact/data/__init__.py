"""Data sets: files of labelled prompts."""

from emoact.data.reading import read_prompts

__all__ = ["read_prompts"]
