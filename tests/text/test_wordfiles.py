"""Words kept in files and read again, against the lists that were kept."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.files import Folder
from sentispark.text import wordfiles
from sentispark.text.kernels import tokenize
from sentispark.text.wordfiles import WordFileWriter, file_number, read_words

batches = st.lists(
    st.lists(st.lists(st.sampled_from(["good", "not", "日本", "x'y"]), max_size=4), max_size=5), max_size=6
)


def words_at(folder, places):
    """What `read_words` gives for places of any files, in their order."""
    found = []
    for number in np.unique(file_number(places)):
        of_file = places[file_number(places) == number]
        for some, words in read_words(folder, of_file):
            assert len(words) == some.stop - some.start
            found += words.to_pylist()
    return found


@settings(max_examples=40)
@given(batches, st.sampled_from([1, 3, 1000]), st.integers(0, 3))
def test_the_words_at_some_places_are_those_that_were_kept_there(tmp_path_factory, rows, rows_per_file, keep_every):
    folder = Folder(str(tmp_path_factory.mktemp("words")))
    held, wordfiles.ROWS_PER_FILE = wordfiles.ROWS_PER_FILE, rows_per_file
    try:
        writers = [WordFileWriter(folder, task) for task in (0, 5)]
        places = [
            writers[number % 2].append(tokenize(pa.array([" ".join(words) for words in batch], pa.string())))
            for number, batch in enumerate(rows)
        ]
        for writer in writers:
            writer.close()
    finally:
        wordfiles.ROWS_PER_FILE = held
    kept = dict(
        zip(
            np.concatenate([[], *places]).astype(int).tolist(),
            [words for batch in rows for words in batch],
            strict=True,
        )
    )
    assert len(kept) == sum(map(len, rows))
    wanted = sorted(kept)[:: keep_every + 1]
    assert words_at(folder, np.array(wanted, np.int64)) == [kept[place] for place in wanted]


def test_a_task_that_is_run_again_writes_the_same_files(tmp_path):
    contents = []
    for _ in range(2):
        writer = WordFileWriter(Folder(str(tmp_path)), 3)
        writer.append(tokenize(pa.array(["good", "not good"])))
        writer.close()
        contents.append({file.name: file.read_bytes() for file in tmp_path.iterdir()})
    assert contents[0] == contents[1]
    assert list(contents[0]) == ["000003-000000.arrow"]


def test_a_writer_that_got_nothing_writes_nothing(tmp_path):
    WordFileWriter(Folder(str(tmp_path)), 0).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", ["ROWS_PER_FILE", "BYTES_PER_FILE"])
def test_a_file_ends_when_it_has_its_rows_or_its_bytes(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(wordfiles, limit, 2)
    writer = WordFileWriter(Folder(str(tmp_path)), 0)
    places = np.concatenate([writer.append(tokenize(pa.array(["a b", "c"]))) for _ in range(3)])
    writer.close()
    assert len(list(tmp_path.iterdir())) == len(np.unique(file_number(places))) == 3
