"""64-bit hashes of many short texts at once, equal on every machine and in every run. Not cryptographic."""

from __future__ import annotations

import numpy as np

__all__ = ["byte_hashes", "splitmix64"]


def byte_hashes(raw: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A hash of each text, uint64 of shape (n,): SplitMix64 of the sum of the hashes of (byte, position) pairs.

    Parameters
    ----------
    raw : ndarray, dtype=uint8
        The bytes of all texts.
    offsets : ndarray of shape (n + 1,)
        Where each text begins and ends among them, beginning with 0.
    """
    position = np.arange(len(raw)) - np.repeat(offsets[:-1], np.diff(offsets))
    prefix_sums = np.zeros(len(raw) + 1, np.uint64)
    np.cumsum(splitmix64(raw.astype(np.uint64) | (position.astype(np.uint64) << np.uint64(8))), out=prefix_sums[1:])
    return splitmix64(prefix_sums[offsets[1:]] - prefix_sums[offsets[:-1]])  # modulo 2^64


def splitmix64(numbers: np.ndarray) -> np.ndarray:
    """The output of the generator SplitMix64 (Steele et al. 2014, doi:10.1145/2714064.2660195) in each state.

    Parameters
    ----------
    numbers : ndarray, dtype=uint64

    Returns
    -------
    ndarray of the same shape, dtype=uint64

    Examples
    --------
    >>> hex(int(splitmix64(np.zeros(1, np.uint64))[0]))
    '0xe220a8397b1dcdaf'
    """
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return hashes
