"""64-bit hashes of many short texts at once, the same on every machine and in every run. No cryptographic ones."""

from __future__ import annotations

import numpy as np

__all__ = ["byte_hashes", "mixed"]


def byte_hashes(raw: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A hash of the bytes of each text, uint64 of shape (n,): the mixed sum of its bytes, each mixed with its place.

    Parameters
    ----------
    raw : ndarray, dtype=uint8
        The bytes of all texts.
    offsets : ndarray of shape (n + 1,)
        Where each text begins among them, from 0.
    """
    place = np.arange(len(raw)) - np.repeat(offsets[:-1], np.diff(offsets))
    so_far = np.zeros(len(raw) + 1, np.uint64)
    np.cumsum(mixed(raw.astype(np.uint64) | (place.astype(np.uint64) << np.uint64(8))), out=so_far[1:])
    return mixed(so_far[offsets[1:]] - so_far[offsets[:-1]])  # modulo 2^64


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Bits spread over all 64: the finaliser of SplitMix64 (Steele et al. 2014, doi:10.1145/2714064.2660195)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return hashes
