"""From material to a document; the order of its parts is that of the source report."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath

from emoact.report.document import Document
from emoact.report.material import Material
from emoact.report.parts_activations import activations
from emoact.report.parts_closing import conclusion, limits
from emoact.report.parts_data import data
from emoact.report.parts_models import models, overview, when
from emoact.report.parts_phase3 import phase3
from emoact.report.parts_technical import structure, technical, timing, verification
from emoact.report.words import Words


def compose(material: Material, words: Words, *, made: datetime) -> Document:
    """The report; everything in it but `made` follows from the material."""
    return Document(
        lang=words.lang,
        title=words("title"),
        subtitle=words(
            "subtitle",
            folder=PurePath(material.results).name,
            models=words.joined(material.folders),
        ),
        contents=words.plain("contents"),
        sections=(
            when(material, words, made),
            overview(material, words),
            *models(material, words),
            *data(material, words),
            *activations(material, words),
            structure(material, words),
            timing(material, words),
            *technical(material, words),
            verification(material, words),
            *phase3(material, words),
            limits(material, words),
            conclusion(material, words),
        ),
    )
