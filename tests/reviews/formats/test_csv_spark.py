"""`read_reviews` reads what `df.write.csv` writes, with a header and without."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentispark.reviews.read import read_reviews

pytestmark = pytest.mark.modern

TEXTS = [
    "plain",
    "a, b",
    'He said "great", and left',
    "back\\slash",
    "two\\\\ and, \\ one",
    'c:\\"q"',
    'ends with "quotes"',
    "a, end\\",
    "line\nbreak",
    'line\r\nbreak, "x"\n\nmore',
    "cr\rhere",
    " blanks around ",
    '"',
    '""',
    "\\",
    '\\"',
    'x\\""y',
    ", start",
    "#comment",
    "",
    None,
    "\u2028 é 日本",
]
characters = st.sampled_from([*'ab ,"\n\\é', "\r\n", '\\"', ', "x"'])
texts = st.one_of(st.none(), st.lists(characters, max_size=8).map("".join))


def written(spark, folder, texts, *, header):
    rows = [(str(number), text, 5) for number, text in enumerate(texts)]
    frame = spark.createDataFrame(rows, "id string, text string, stars int").coalesce(1)
    frame.write.mode("overwrite").csv(str(folder), header=header)
    return str(folder)


def found(spark, path, **named):
    reviews = read_reviews(spark, path, "text", "stars", markup="keep", keep_cols=["id"], **named)
    rows = reviews.records.collect()
    return {row.extra[0]: row.text for row in rows}


def what_is_left(text):
    """Spark strips spaces around a text, and reads an empty text as null."""
    stripped = (text or "").strip("".join(map(chr, range(33))))
    return stripped or None


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("escape", ["auto", "backslash"])
def test_texts_of_all_kinds(spark, tmp_path, header, escape):
    path = written(spark, tmp_path / "out", TEXTS, header=header)
    columns = () if header else ("id", "text", "stars")
    texts = found(spark, path, columns=columns, csv_escape=escape)
    assert texts == {str(number): what_is_left(text) for number, text in enumerate(TEXTS)}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(texts, min_size=1, max_size=40), st.booleans())
def test_any_texts(spark, tmp_path, texts, header):
    path = written(spark, tmp_path / "out", texts, header=header)
    columns = () if header else ("id", "text", "stars")
    assert found(spark, path, columns=columns) == {str(n): what_is_left(text) for n, text in enumerate(texts)}
