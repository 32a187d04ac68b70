"""What the inputs of each kind of data are called, for whoever says a sentence of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Words:
    """What sentences call the inputs of a kind of data.

    Attributes:
        one: An input.
        noun: Several.
        owner: One, as the owner of something, without an article.
        feature: One of the numbers that an input is made of.
    """

    one: str
    noun: str
    owner: str
    feature: str

    @property
    def features(self) -> str:
        """Several of these numbers."""
        return f"{self.feature}s"


WORDS: Mapping[str, Words] = {
    "image": Words("image", "images", "image's", "pixel"),
    "series": Words("series", "series", "series'", "point"),
    "clip": Words("clip", "clips", "clip's", "pixel"),
    "table": Words("row", "rows", "row's", "feature"),
}
"""By kind of data."""

IMAGES = WORDS["image"]
"""Those of whoever does not know the data yet."""


def words_of(record: Mapping[str, Any]) -> Words:
    """What a run's record of its data calls the inputs; a run of before there were others has images."""
    return WORDS[record.get("kind", "image")]
