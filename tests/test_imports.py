"""The laws about imports, checked in the source of every file."""

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

# From the bottom up: each may import from its own layer or a lower one. A file named here leaves its package's layer.
LAYERS = [
    [
        "",
        "drafts",
        "errors",
        "files",
        "leftovers",
        "options",
        "outputs",
        "overlap",
        "ownership",
        "placement",
        "processes",
        "signals",
    ],
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
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
PURE = LAYERS[1]
MAY_NOT_IMPORT = {
    "torch": ["spark", "reviews", "text", "dataset", "evaluate", "prepare"],
    "pyspark": ["nn", "evaluate", "privacy", "train"],
}

Imports = dict[
    str, set[str]
]  # the full names that a file imports, by its name, such as "text.kernels" ("": sentispark)


def read_imports(root: Path) -> Imports:
    """Every file under `root` with the full names that it imports."""
    sources = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return imports_of(sources)


def imports_of(sources: Mapping[str, str]) -> Imports:
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


def own_imports(name: str, imported: Imports) -> set[str]:
    """The files of sentispark that a file imports: `from sentispark.text import kernels` means text.kernels."""
    inside = (
        full.removeprefix("sentispark").lstrip(".") for full in imported[name] if full.split(".")[0] == "sentispark"
    )
    return {file if file in imported else file.rpartition(".")[0] for file in inside}


def parts_of_imports(name: str, imported: Imports) -> set[str]:
    """All parts of the names that a file imports, those of the standard library too: `pyspark` and `cloudpickle`."""
    return {part for full in imported[name] for part in full.split(".")}


def outside_imports(name: str, imported: Imports) -> set[str]:
    """The packages that a file imports, other than sentispark and the standard library."""
    packages = {full.split(".")[0] for full in imported[name]}
    return packages - {"sentispark"} - set(sys.stdlib_module_names)


def layer(name: str) -> int | None:
    """The number of a file's layer; None if it is in no layer."""
    return LAYER_OF.get(name, LAYER_OF.get(name.split(".")[0]))


def loaded_by(name: str, imported: Imports) -> set[str]:
    """All files that run when `name` is imported and used: its direct and indirect imports, and their packages."""
    seen: set[str] = set()
    pending = [name]
    while pending:
        file = pending.pop()
        if file in imported and file not in seen:
            seen.add(file)
            pending += [*own_imports(file, imported), file.rpartition(".")[0]]
    return seen


def without_layer(imported: Imports) -> list[str]:
    return [f"{name} is in no layer: add it to LAYERS" for name in imported if layer(name) is None]


def upward_imports(imported: Imports) -> list[str]:
    return [
        f"{name} imports {other}, which is in a higher layer"
        for name in imported
        for other in sorted(own_imports(name, imported))
        if layer(name) is not None and layer(other) is not None and layer(other) > layer(name)
    ]


def forbidden_imports(imported: Imports) -> list[str]:
    return [
        f"{name} loads {package} through {loaded or 'sentispark'}"
        for package, packages in MAY_NOT_IMPORT.items()
        for name in imported
        if name.split(".")[0] in packages
        for loaded in sorted(loaded_by(name, imported))
        if package in outside_imports(loaded, imported)
    ]


def impure_imports(imported: Imports) -> list[str]:
    return [
        f"{name} is pure and imports {package}"
        for name in PURE
        if name in imported
        for package in sorted(outside_imports(name, imported) - {"numpy", "pyarrow"})
    ]


def importers(package: str, imported: Imports) -> list[str]:
    return [name for name in imported if package in outside_imports(name, imported)]


def cycle(imported: Imports) -> list[str]:
    """The files of one import cycle, empty when there is none."""
    try:
        TopologicalSorter({name: own_imports(name, imported) for name in imported}).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def packages_after(statement: str, packages: Iterable[str]) -> list[str]:
    """Which of the packages a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sorted(set({list(packages)}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return run.stdout.split()


@pytest.fixture(scope="module")
def imported() -> Imports:
    return read_imports(ROOT)


def test_every_file_is_in_a_layer(imported: Imports) -> None:
    assert without_layer(imported) == []


def test_every_name_in_the_layers_exists(imported: Imports) -> None:
    planned = {"privacy"}
    existing = {*imported, *(name.split(".")[0] for name in imported)}
    assert set(LAYER_OF) - existing == planned


def test_files_import_from_their_layer_or_a_lower_one(imported: Imports) -> None:
    assert upward_imports(imported) == []


def test_spark_and_torch_are_imported_only_where_they_may_be(imported: Imports) -> None:
    assert forbidden_imports(imported) == []


def test_pure_files_import_only_numpy_and_arrow(imported: Imports) -> None:
    assert impure_imports(imported) == []


def test_petastorm_is_imported_in_one_file_at_most(imported: Imports) -> None:
    # The benches compare sentispark with what users write with Petastorm.
    assert len([name for name in importers("petastorm", imported) if not name.startswith("bench.")]) <= 1


@pytest.mark.parametrize(
    "package", ["pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "CPickleSerializer", "PickleSerializer"]
)
def test_loading_saved_files_cannot_run_code(imported: Imports, package: str) -> None:
    assert [name for name in imported if package in parts_of_imports(name, imported)] == []


def test_weights_are_saved_only_as_safetensors() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")}
    calls = re.compile(r"(?<!safetensors\.)\btorch\.(save|load|jit\.load)\(|allow_pickle")
    assert [path for path, source in sources.items() if calls.search(source)] == []
    assert len(sources) > 100
    assert calls.search("net = torch.load(file)")


def test_there_are_no_import_cycles(imported: Imports) -> None:
    assert cycle(imported) == []


def test_importing_sentispark_loads_neither_spark_nor_torch() -> None:
    assert packages_after("import sentispark; dir(sentispark)", ["pyspark", "torch"]) == []


def test_public_names_are_listed_and_an_unknown_one_is_an_attribute_error() -> None:
    import sentispark

    assert set(sentispark.__all__) <= set(dir(sentispark))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sentispark.nothing


# Tests of the checks themselves, on invented sources.


def test_imports_are_found_everywhere_except_those_for_type_checkers() -> None:
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
    assert imports_of({"x": source})["x"] == {"a.b", "c.d", "c.e", "g", "h.i"}


def test_an_unknown_package_is_reported() -> None:
    assert without_layer(imports_of({"text.new": "", "novel.part": ""})) == [
        "novel.part is in no layer: add it to LAYERS"
    ]


@pytest.mark.parametrize(
    "source",
    ["from sentispark.jobs.cli import main", "from sentispark.jobs import cli", "import sentispark.jobs.cli"],
)
def test_an_upward_import_is_reported_in_every_spelling(source: str) -> None:
    sources = {"jobs": "", "jobs.cli": "from sentispark.text import kernels", "text.kernels": source}
    assert upward_imports(imports_of(sources)) == ["text.kernels imports jobs.cli, which is in a higher layer"]


def test_a_pure_file_may_not_import_its_own_package_s_other_files() -> None:
    sources = {"train.balance": "from sentispark.train.step import step", "train.step": ""}
    assert upward_imports(imports_of(sources)) == ["train.balance imports train.step, which is in a higher layer"]


def test_a_forbidden_package_is_reported_directly_and_through_others() -> None:
    direct = imports_of({"text.padding": "def pad():\n    import torch.nn"})
    assert forbidden_imports(direct) == ["text.padding loads torch through text.padding"]
    through_a_file = {"train.step": "from sentispark.dataset.plan import plan", "dataset.plan": "import pyspark"}
    assert forbidden_imports(imports_of(through_a_file)) == ["train.step loads pyspark through dataset.plan"]
    through_a_package = {**through_a_file, "dataset.plan": "", "dataset": "from pyspark.sql import Row"}
    assert forbidden_imports(imports_of(through_a_package)) == ["train.step loads pyspark through dataset"]
    allowed = {"ml.model": "import torch, pyspark", "train.step": "import torch", "text.padding": "import pyspark"}
    assert forbidden_imports(imports_of(allowed)) == []


def test_an_impure_import_is_reported() -> None:
    sources = {"text.kernels": "import re, numpy, pyarrow.compute, pandas", "text.padding": "import pandas"}
    assert impure_imports(imports_of(sources)) == ["text.kernels is pure and imports pandas"]


def test_parts_of_imports_include_the_standard_library_and_other_packages() -> None:
    sources = {"a": "import pickle, numpy as np\nfrom pyspark import cloudpickle"}
    assert parts_of_imports("a", imports_of(sources)) == {"pickle", "numpy", "pyspark", "cloudpickle"}
    assert outside_imports("a", imports_of(sources)) == {"numpy", "pyspark"}


def test_importers_of_a_package_are_found() -> None:
    sources = {"a": "from petastorm import reader", "b": "import petastorm.reader", "c": "import petastorm_like"}
    assert importers("petastorm", imports_of(sources)) == ["a", "b"]


def test_a_cycle_is_found_and_a_diamond_is_not_one() -> None:
    ring = {
        "a": "import sentispark.b",
        "b": "from sentispark.c import x",
        "c": "def f():\n    from sentispark import a",
    }
    assert set(cycle(imports_of(ring))) == {"a", "b", "c"}
    diamond = {
        "a": "import sentispark.b, sentispark.c",
        "b": "import sentispark.d",
        "c": "import sentispark.d",
        "d": "",
    }
    assert cycle(imports_of(diamond)) == []
