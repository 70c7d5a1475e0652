"""Digests of texts, by which duplicates are found and rows ordered, and the random draw that decides a split. Pure."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
from xxhash import xxh3_128_digest

from sentispark.text.hashing import byte_hashes, splitmix64
from sentispark.text.markup import bytes_of

__all__ = ["digests", "split_draws"]


def digests(texts: pa.StringArray, *, seed: int) -> np.ndarray:
    """The 128-bit XXH3 hash (Collet, https://xxhash.com) of each text, seeded.

    Among a billion texts any two collide with a probability of about 10^-21, so equal digests are treated as equal
    texts. The hash is not cryptographic: colliding texts can be constructed, and one of them would be dropped.

    Returns
    -------
    ndarray of shape (n, 2), dtype=int64
        The first column is uniformly distributed and orders the rows.
    """
    raw, offsets = bytes_of(texts)
    hashed = [xxh3_128_digest(raw.data[start:end], seed) for start, end in itertools.pairwise(offsets.tolist())]
    return np.frombuffer(b"".join(hashed), ">i8").astype(np.int64).reshape(-1, 2)


def split_draws(words: pa.ListArray, texts: pa.StringArray) -> np.ndarray:
    """A number in [0, 1) for each text that decides its split; it depends on nothing but the text.

    It is a function of the text's bag of words without apostrophes, so that "Great!" in the training split is not
    tested as "great"; for a text without words it is a function of the text itself.

    Parameters
    ----------
    words : list array of length n, as `tokenize` returns it
    texts : string array of length n

    Returns
    -------
    ndarray of shape (n,), dtype=float64
    """
    values, offsets = words.values, words.offsets.to_numpy().astype(np.int64)
    hashes = _word_hashes(values.dictionary)
    prefix_sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(hashes[values.indices.to_numpy()], out=prefix_sums[1:])
    sums = prefix_sums[offsets[1:]] - prefix_sums[offsets[:-1]]  # modulo 2^64, as all sums here
    wordless = np.flatnonzero(np.diff(offsets) == 0)
    if len(wordless):
        sums[wordless] = _word_hashes(texts.take(pa.array(wordless)))
    return (splitmix64(sums) >> np.uint64(11)) / 2.0**53


def _word_hashes(words: pa.StringArray) -> np.ndarray:
    """A 64-bit hash of each word without its apostrophes, dtype=uint64."""
    raw, offsets = bytes_of(words)
    letter = raw != ord("'")
    return byte_hashes(raw[letter], offsets - np.searchsorted(np.flatnonzero(~letter), offsets))
