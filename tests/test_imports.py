"""The laws of the house: who may import whom, read from the source of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "sentispark"

# From the ground up: each may import what stands on its own floor or below. A file named here leaves its package's.
FLOORS = [
    ["", "errors", "files", "options", "outputs", "overlap", "ownership", "signals"],
    [
        "text.hashing",
        "text.kernels",
        "text.letters",
        "text.markup",
        "text.stopwords",
        "text.token_ids",
        "dataset.manifest",
        "dataset.plan",
        "train.balance",
        "train.schedule",
        "train.step_cost",
        "evaluate.metrics",
    ],
    ["spark"],
    ["reviews", "text", "dataset", "nn", "evaluate"],
    ["prepare"],
    ["privacy"],
    ["train"],
    ["cluster"],
    ["ml"],
    ["bench"],
    ["jobs", "__main__"],
]
FLOOR_OF = {place: number for number, places in enumerate(FLOORS) for place in places}
PURE = FLOORS[1]
MAY_NOT_IMPORT = {"torch": ["spark", "reviews", "text", "prepare"], "pyspark": ["nn", "privacy", "train"]}

House = dict[str, set[str]]  # a file, named like "text.kernels" ("" is sentispark itself) → what it imports, in full


def read_house(root: Path) -> House:
    """Every file under `root` with the full names that it imports."""
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return house_of(sources)


def house_of(sources: Mapping[str, str]) -> House:
    return {name: set(imports(ast.parse(source))) for name, source in sources.items()}


def imports(tree: ast.AST) -> Iterator[str]:
    """All imported names, those inside functions too; `from a import b` gives `a.b`. Not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def own_imports(name: str, house: House) -> set[str]:
    """The files of the house that a file imports: `from sentispark.text import kernels` means text.kernels."""
    inside = (full.removeprefix("sentispark").lstrip(".") for full in house[name] if full.split(".")[0] == "sentispark")
    return {one if one in house else one.rpartition(".")[0] for one in inside}


def parts_of_imports(name: str, house: House) -> set[str]:
    """All names in what a file imports, those of the standard library too: `pyspark` and `cloudpickle`."""
    return {part for full in house[name] for part in full.split(".")}


def outside_imports(name: str, house: House) -> set[str]:
    """The packages that a file imports from outside the house and the standard library."""
    packages = {full.split(".")[0] for full in house[name]}
    return packages - {"sentispark"} - set(sys.stdlib_module_names)


def floor(name: str) -> int | None:
    """The floor on which a file stands; None when the order does not know it."""
    return FLOOR_OF.get(name, FLOOR_OF.get(name.split(".")[0]))


def loaded_by(name: str, house: House) -> set[str]:
    """All files that run when `name` is imported and used: what it imports, indirectly too, and their packages."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in house and one not in seen:
            seen.add(one)
            waiting += [*own_imports(one, house), one.rpartition(".")[0]]
    return seen


def homeless(house: House) -> list[str]:
    return [f"{name} has no floor: add it to FLOORS" for name in house if floor(name) is None]


def upward_imports(house: House) -> list[str]:
    return [
        f"{name} imports {other}, which stands above it"
        for name in house
        for other in sorted(own_imports(name, house))
        if floor(name) is not None and floor(other) is not None and floor(other) > floor(name)
    ]


def forbidden_imports(house: House) -> list[str]:
    return [
        f"{name} loads {package} through {loaded or 'sentispark'}"
        for package, places in MAY_NOT_IMPORT.items()
        for name in house
        if name.split(".")[0] in places
        for loaded in sorted(loaded_by(name, house))
        if package in outside_imports(loaded, house)
    ]


def impure_imports(house: House) -> list[str]:
    return [
        f"{name} is pure and imports {package}"
        for name in PURE
        if name in house
        for package in sorted(outside_imports(name, house) - {"numpy", "pyarrow"})
    ]


def importers(package: str, house: House) -> list[str]:
    return [name for name in house if package in outside_imports(name, house)]


def cycle(house: House) -> list[str]:
    """The files of one import cycle, empty when there is none."""
    try:
        TopologicalSorter({name: own_imports(name, house) for name in house}).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def packages_after(statement: str, packages: Iterable[str]) -> list[str]:
    """Which of the packages a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sorted(set({list(packages)}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return run.stdout.split()


@pytest.fixture(scope="module")
def house() -> House:
    return read_house(ROOT)


def test_every_file_has_a_floor(house: House) -> None:
    assert homeless(house) == []


def test_every_place_that_has_a_floor_is_there(house: House) -> None:
    planned = {"privacy"}
    there = {*house, *(name.split(".")[0] for name in house)}
    assert set(FLOOR_OF) - there == planned


def test_files_import_from_their_floor_or_below(house: House) -> None:
    assert upward_imports(house) == []


def test_spark_and_torch_stay_where_they_may(house: House) -> None:
    assert forbidden_imports(house) == []


def test_pure_parts_import_numpy_and_arrow_alone(house: House) -> None:
    assert impure_imports(house) == []


def test_petastorm_is_imported_in_one_file_at_most(house: House) -> None:
    # What users write with Petastorm is what the benches compare sentispark with, and is no part of it.
    assert len([name for name in importers("petastorm", house) if not name.startswith("bench.")]) <= 1


@pytest.mark.parametrize(
    "package", ["pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "CPickleSerializer", "PickleSerializer"]
)
def test_nothing_that_is_saved_can_run_code_when_it_is_loaded(house: House, package: str) -> None:
    assert [name for name in house if package in parts_of_imports(name, house)] == []


def test_weights_are_saved_as_safetensors_alone() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    calls = re.compile(r"(?<!safetensors\.)\btorch\.(save|load|jit\.load)\(|allow_pickle")
    assert [path for path, source in sources.items() if calls.search(source)] == []
    assert len(sources) > 100
    assert calls.search("net = torch.load(file)")


def test_no_file_imports_a_file_that_imports_it(house: House) -> None:
    assert cycle(house) == []


def test_importing_sentispark_loads_neither_spark_nor_torch() -> None:
    assert packages_after("import sentispark; dir(sentispark)", ["pyspark", "torch"]) == []


def test_public_names_are_listed_and_an_unknown_one_is_an_attribute_error() -> None:
    import sentispark

    assert set(sentispark.__all__) <= set(dir(sentispark))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sentispark.nothing


# The checks themselves, on made-up houses.


def test_imports_are_found_wherever_they_stand_and_type_checkers_imports_are_not() -> None:
    source = """
import a.b
from c import d, e
if TYPE_CHECKING:
    import not_this
def f():
    try:
        import g
    except ImportError:
        from h import i
"""
    assert house_of({"x": source})["x"] == {"a.b", "c.d", "c.e", "g", "h.i"}


def test_an_unknown_package_is_reported() -> None:
    assert homeless(house_of({"text.new": "", "novel.part": ""})) == ["novel.part has no floor: add it to FLOORS"]


@pytest.mark.parametrize(
    "source",
    ["from sentispark.jobs.cli import main", "from sentispark.jobs import cli", "import sentispark.jobs.cli"],
)
def test_an_upward_import_is_reported_in_every_spelling(source: str) -> None:
    sources = {"jobs": "", "jobs.cli": "from sentispark.text import kernels", "text.kernels": source}
    assert upward_imports(house_of(sources)) == ["text.kernels imports jobs.cli, which stands above it"]


def test_a_pure_file_may_not_import_its_own_package_s_other_files() -> None:
    sources = {"train.balance": "from sentispark.train.step import step", "train.step": ""}
    assert upward_imports(house_of(sources)) == ["train.balance imports train.step, which stands above it"]


def test_a_forbidden_package_is_reported_directly_and_through_others() -> None:
    direct = house_of({"text.padding": "def pad():\n    import torch.nn"})
    assert forbidden_imports(direct) == ["text.padding loads torch through text.padding"]
    through_a_file = {"train.step": "from sentispark.dataset.plan import plan", "dataset.plan": "import pyspark"}
    assert forbidden_imports(house_of(through_a_file)) == ["train.step loads pyspark through dataset.plan"]
    through_a_package = {**through_a_file, "dataset.plan": "", "dataset": "from pyspark.sql import Row"}
    assert forbidden_imports(house_of(through_a_package)) == ["train.step loads pyspark through dataset"]
    allowed = {"ml.model": "import torch, pyspark", "train.step": "import torch", "text.padding": "import pyspark"}
    assert forbidden_imports(house_of(allowed)) == []


def test_an_impure_import_is_reported() -> None:
    sources = {"text.kernels": "import re, numpy, pyarrow.compute, pandas", "text.padding": "import pandas"}
    assert impure_imports(house_of(sources)) == ["text.kernels is pure and imports pandas"]


def test_parts_of_imports_are_those_of_the_standard_library_and_of_other_packages_too() -> None:
    sources = {"a": "import pickle, numpy as np\nfrom pyspark import cloudpickle"}
    assert parts_of_imports("a", house_of(sources)) == {"pickle", "numpy", "pyspark", "cloudpickle"}
    assert outside_imports("a", house_of(sources)) == {"numpy", "pyspark"}


def test_importers_of_a_package_are_counted() -> None:
    sources = {"a": "from petastorm import reader", "b": "import petastorm.reader", "c": "import petastorm_like"}
    assert importers("petastorm", house_of(sources)) == ["a", "b"]


def test_a_cycle_is_found_and_a_diamond_is_none() -> None:
    ring = {
        "a": "import sentispark.b",
        "b": "from sentispark.c import x",
        "c": "def f():\n    from sentispark import a",
    }
    assert set(cycle(house_of(ring))) == {"a", "b", "c"}
    diamond = {
        "a": "import sentispark.b, sentispark.c",
        "b": "import sentispark.d",
        "c": "import sentispark.d",
        "d": "",
    }
    assert cycle(house_of(diamond)) == []
