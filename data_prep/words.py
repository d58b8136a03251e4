"""Text of items as hashed words: titles and descriptions as a feature of bounded size."""

import re
import zlib

import pandas as pd

BUCKETS = 8192
"""Words whose hashes agree share an embedding; so many rows hold a catalogue's commoner words well apart."""
SUFFIX = "_words"
WORD = re.compile(r"\w+")


def words_of(column: pd.Series) -> pd.Series:
    """Returns each text's words, folded and hashed, each once, in their order: lists of text.

    The hash is CRC-32, which is the same on every machine and in every year: items that come after a training
    are split by it again.

    Args:
        column: text; what is missing has no words.
    """
    return column.map(_hashed, na_action="ignore").map(lambda words: words if isinstance(words, list) else [])


def _hashed(text: object) -> list[str]:
    words = WORD.findall(str(text).casefold())
    return list(dict.fromkeys(str(zlib.crc32(word.encode()) % BUCKETS) for word in words))
