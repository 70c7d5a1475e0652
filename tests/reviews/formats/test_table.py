"""The table of formats: the formats of file names, and consistent declarations."""

import itertools

import pytest

from sentispark.errors import InputError
from sentispark.reviews.formats.table import FORMATS, format_of
from sentispark.reviews.pieces import COMPRESSIONS


@pytest.mark.parametrize("name", FORMATS)
def test_each_ending_has_its_format_compressed_or_not(name):
    for ending in FORMATS[name].endings:
        for path in (f"a.{ending}", f"a.{ending.upper()}", *(f"a.{ending}.{packed}" for packed in COMPRESSIONS)):
            assert format_of(path) == name


def test_endings_are_unique_and_none_is_a_compression():
    endings = list(itertools.chain(COMPRESSIONS, *(format.endings for format in FORMATS.values())))
    assert len(endings) == len(set(endings))


def test_the_error_of_an_unknown_ending_names_all_formats():
    with pytest.raises(InputError, match=r"Name the format: json, csv, tsv(, \w+)* or \w+\.$") as caught:
        format_of("reviews.txt")
    assert all(name in str(caught.value) for name in FORMATS)
