"""A text to what tells it apart from others, to its place in the order of all rows, and to its split. Pure."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
from xxhash import xxh3_128_digest

from sentispark.text.hashing import byte_hashes, mixed
from sentispark.text.markup import bytes_of

__all__ = ["digests", "split_draws"]


def digests(texts: pa.StringArray, *, seed: int) -> np.ndarray:
    """128 bits of XXH3 (Collet 2020) of each text, from the seed on.

    Two texts of a billion have the same with probability 10^-21, so equal digests are taken for equal texts. (It is no
    cryptographic hash: who wanted two texts to be taken for one could make such a pair, and lose one of the two.)

    Returns
    -------
    ndarray of shape (n, 2), dtype=int64
        The first column is as good as random, and orders the rows.
    """
    raw, offsets = bytes_of(texts)
    hashed = [xxh3_128_digest(raw.data[start:end], seed) for start, end in itertools.pairwise(offsets.tolist())]
    return np.frombuffer(b"".join(hashed), ">i8").astype(np.int64).reshape(-1, 2)


def split_draws(words: pa.ListArray, texts: pa.StringArray) -> np.ndarray:
    """A number from 0 to 1 for each text that decides its split: the same in every run and for every amount of data.

    A function of which words a text has and how often, apostrophes left out, so that "Great!" in training is not
    tested as "great"; of the text itself where it has no word.

    Parameters
    ----------
    words : what `tokenize` gives, of length n
    texts : string array of length n

    Returns
    -------
    ndarray of shape (n,), dtype=float64
    """
    values, offsets = words.values, words.offsets.to_numpy().astype(np.int64)
    hashes = _word_hashes(values.dictionary)
    so_far = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(hashes[values.indices.to_numpy()], out=so_far[1:])
    sums = so_far[offsets[1:]] - so_far[offsets[:-1]]  # modulo 2^64, as all sums here
    wordless = np.flatnonzero(np.diff(offsets) == 0)
    if len(wordless):
        sums[wordless] = _word_hashes(texts.take(pa.array(wordless)))
    return (mixed(sums) >> np.uint64(11)) / 2.0**53


def _word_hashes(words: pa.StringArray) -> np.ndarray:
    """64 bits for each word, dtype=uint64, the same with and without its apostrophes."""
    raw, offsets = bytes_of(words)
    letter = raw != ord("'")
    return byte_hashes(raw[letter], offsets - np.searchsorted(np.flatnonzero(~letter), offsets))
