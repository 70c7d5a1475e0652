"""Objects are found in every layout, compared with the objects that were written."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.formats import json_layout
from sentispark.reviews.formats.json_layout import is_json_lines, json_objects, layout_problem

NAMES = ("reviewText", "overall")

texts = st.text(st.sampled_from('ab"\\{}[],:\n é'), max_size=8)
objects = st.fixed_dictionaries(
    {"reviewText": texts, "overall": st.integers(1, 5)},
    optional={
        "style": st.dictionaries(texts, st.lists(st.dictionaries(texts, texts, max_size=2), max_size=2), max_size=2)
    },
)


def written(found, layout):
    """The objects as a file of some layout."""
    indent = 2 if layout.startswith("indented") else None
    each = [json.dumps(one, indent=indent, ensure_ascii=len(layout) % 2 == 0) for one in found]
    match layout:
        case "array" | "indented array":
            return json.dumps(found, indent=indent)
        case "array of lines":
            return "[\n" + ",\n".join(each) + "\n]\n"
        case "lines with commas":
            return "".join(f"{one},\n" for one in each)
        case "side by side":
            return "".join(each)
        case "lines" | "indented objects":
            return "".join(f"{one}\n" for one in each)


LAYOUTS = [
    "array",
    "indented array",
    "array of lines",
    "lines with commas",
    "side by side",
    "indented objects",
    "lines",
]


@given(st.lists(objects, min_size=2, max_size=6), st.sampled_from(LAYOUTS), st.integers(1, 50), st.booleans())
def test_every_layout_is_detected_and_gives_every_object_in_order(found, layout, block, mark):
    text = "\ufeff" * mark + written(found, layout)
    assert is_json_lines(text) == (layout == "lines")
    assert layout_problem(text, NAMES) is None
    blocks = (text[start : start + block] for start in itertools.count(0, block)) if block else ()
    blocks = itertools.takewhile(bool, blocks)
    assert [value for value, _ in json_objects(blocks)] == found


@given(st.lists(st.one_of(objects, st.none()), min_size=1, max_size=6))
def test_broken_text_between_objects_does_not_lose_objects(found):
    text = (
        "["
        + ",\n".join('{"reviewText": oops}' if one is None else json.dumps({**one, "style": 1}) for one in found)
        + "]"
    )
    values = [value for value, _ in json_objects([text])]
    assert values == [one if one is None else {**one, "style": 1} for one in found]


def test_after_an_object_without_an_end_the_next_one_is_found(monkeypatch):
    monkeypatch.setattr(json_layout, "LONGEST_OBJECT", 100)
    good = '{"a": 1}'
    blocks = ['{"open": "', *["y" * 50] * 10, '"', "}", f",\n{good}", good]
    (nothing, text), *others = json_objects(blocks)
    assert nothing is None
    assert text.startswith('{"open": "yy')
    assert len(text) < 200
    assert others == [({"a": 1}, good)] * 2
    assert [value for value, _ in json_objects(["{" * 30] * 40)] == [None]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "\n\n",
        "no json\n",
        "[1]\n[2]\n",
        '["a", 5]\n',
        '{"reviewText": "cut\n{"a": 1}\n',
        '{"x": [\n["a", 1]\n',
        '{"a": 1} x\n',
    ],
)
def test_a_file_that_is_not_json_counts_as_lines(head):
    assert is_json_lines(head)
    assert layout_problem(head, NAMES) is None


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_under_a_key_is_detected_from_its_beginning(indent):
    text = json.dumps({"reviews": [{"reviewText": "x" * 50, "overall": 5}] * 3000}, indent=indent)
    assert "in a list under 'reviews'" in layout_problem(text[: json_layout.HEAD_BYTES], NAMES)
    text = json.dumps({"style": [{"a": 1}], "reviewText": "x" * 50, "overall": 5}, indent=indent)
    assert layout_problem(text, NAMES) is None
