"""The structure that docs/architecture.md describes, held by reading the sources."""

from __future__ import annotations

import ast
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ebdsl"
SOURCES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 460

# What each part may import. "later" is what it may import inside of a function alone, where two
# parts need each other: a rule's row and the text it emits, an operation of the algebra and an atom's facts.
BASE = {"lazy", "resources", "diagnostics"}
ALLOWED: dict[str, set[str]] = {
    "diagnostics": {"lazy", "resources"},
    "syntax": BASE,
    "model": BASE | {"syntax"},
    "atoms": BASE | {"model"},
    "check": BASE | {"syntax", "model", "atoms", "strategies"},  # the words of a strategy
    "graph": BASE | {"model"},
    "facts": BASE | {"model", "atoms"},
    "strategies": BASE | {"model", "atoms"},
    "infer": BASE | {"model", "atoms", "facts"},
    "learn": BASE | {"model", "atoms", "facts", "infer", "strategies"},
    "plan": BASE | {"model", "atoms", "facts", "infer", "learn", "strategies"},
    "settings": BASE | {"model", "plan"},
    "emit": BASE
    | {
        "model",
        "atoms",
        "facts",
        "infer",
        "learn",
        "plan",
        "settings",
        "strategies",
        "runtime",
    },  # runtime's text, by its catalogue
    "runtime": set(),
}
LATER: dict[str, set[str]] = {"model": {"atoms"}, "strategies": {"facts"}}
LIGHT = (
    "diagnostics",
    "syntax",
    "model",
    "atoms",
    "check",
    "graph",
    "facts",
    "infer",
    "learn",
    "plan",
    "emit",
    "commands",
)


def part(path: Path) -> str:
    """``model`` for ebdsl/model/ir.py, ``driver`` for ebdsl/driver.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, later: bool) -> Iterator[str]:
    """Dotted names that a file imports when it is loaded, or (``later``) when a function of it is called."""
    tree = parsed(path)
    nested = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for n in ast.walk(f)
    }
    typing = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.If) and "TYPE_CHECKING" in ast.unparse(f.test)
        for n in ast.walk(f)
    }
    for node in ast.walk(tree):
        if id(node) in typing or (id(node) in nested) != later:
            continue
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively: write the whole name"
            yield from (f"{node.module}.{a.name}" for a in node.names)


def of_ours(names: Iterator[str]) -> set[str]:
    return {n.split(".")[1] for n in names if n.startswith("ebdsl.")} - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    here = part(path)
    if here not in ALLOWED:
        return  # the outer layers: they may use everything
    now, later = of_ours(imports(path, later=False)), of_ours(imports(path, later=True))
    assert now - {here} <= ALLOWED[here]
    assert later - {here} <= ALLOWED[here] | LATER.get(here, set())


def test_every_part_has_its_row() -> None:
    outer = {
        "__init__",
        "__main__",
        "api",
        "driver",
        "explain",
        "lazy",
        "resources",
        "run",
        "plots",
        "commands",
        "editor",
        "interop",
    }
    assert {part(p) for p in SOURCES} <= ALLOWED.keys() | outer


def test_what_answers_quickly_imports_neither_torch_nor_sympy() -> None:
    modules = [m.name for m in pkgutil.walk_packages([str(PACKAGE)], "ebdsl.") if m.name.split(".")[1] in LIGHT]
    assert len(modules) > 60
    code = "import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *modules, "ebdsl", "ebdsl.driver"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert not {"torch", "sympy", "matplotlib", "sklearn", "pandas"} & set(done.stdout.split())


def test_runtime_stands_alone() -> None:
    for path in sorted((PACKAGE / "runtime").glob("*.py")):
        names = [n for later in (False, True) for n in imports(path, later)]
        assert {n.split(".")[0] for n in names} <= {"ebdsl", "torch", *sys.stdlib_module_names}, path.name
        assert of_ours(iter(names)) <= {"runtime"}, path.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES, "split it: a file holds one idea"


# --------------------------------------------------------------------------- a spec is data


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_of_a_stranger_is_executed(path: Path) -> None:
    # the compiler's own text is made a module in one place
    runs_ours = path == PACKAGE / "run" / "load.py"
    for name, call in calls(path):
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert runs_ours or name not in ("eval", "exec", "compile", "__import__"), name
        assert name not in ("os.system", "os.popen", "tempfile.mktemp"), name
        assert not (name.endswith(".load") and "torch" in name and keywords.get("weights_only") != "True"), name
        assert keywords.get("allow_pickle", "False") == "False"
        assert keywords.get("shell", "False") == "False"
    names = {n.split(".")[0] for later in (False, True) for n in imports(path, later)}
    assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}


# --------------------------------------------------------------------------- the project around it


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_and_no_registry_is_named() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work|root|opt/wheels|home/[a-z]\w*)/|[A-Z]:\\Users")
    registry = re.compile(r"https?://[\w.-]*(?:pypi|pythonhosted|npmjs|download\.pytorch)[\w.-]*")
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        assert path == Path(__file__) or not machine.search(text), path
        assert not registry.search(text), path


def project() -> dict:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normal(name): Version(version) for name, version in pairs}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> dict[str, list[Requirement]]:
    """By extra; ``""`` is the core."""
    extras = {"": project()["dependencies"], **project()["optional-dependencies"]}
    return {k: [r for r in map(Requirement, v) if r.name != "ebdsl"] for k, v in extras.items()}


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = pins()
    for wanted in (r for rows in requirements().values() for r in rows):
        assert pinned[normal(wanted.name)] in wanted.specifier, wanted
        assert "==" not in str(wanted.specifier), "pins belong into constraints.txt"


def test_torch_is_pinned_in_one_place() -> None:
    assert str(pins()["torch"]) == "2.13.0"
    for path in tracked():
        if path.suffix in (".toml", ".md") or path.name in ("Makefile", "run"):
            assert not re.search(r"torch *[=~]=", path.read_text(encoding="utf-8")), path


def test_every_third_party_import_is_declared() -> None:
    providers = importlib.metadata.packages_distributions()
    core = {normal(r.name) for r in requirements()[""]}
    declared = {normal(r.name) for rows in requirements().values() for r in rows}
    for path in SOURCES:
        for later in (False, True):
            for name in {n.split(".")[0] for n in imports(path, later)} - set(sys.stdlib_module_names) - {"ebdsl"}:
                homes = {normal(d) for d in providers.get(name, [name])}
                assert homes & (declared if later else core), f"{path.name} imports {name}"


def test_the_two_commands_are_the_makefile_s_and_ci_runs_the_second() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", make, re.M)
    ci = ROOT / ".ci" / "run"
    assert re.search(r"^make test\b", ci.read_text(encoding="utf-8"), re.M)
    assert ci.stat().st_mode & 0o111


def test_every_install_uses_the_constraints() -> None:
    for path in (ROOT / "README.md", ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "docs").glob("*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"pip install .*(-e|\.\[|torch)", line):
                assert "-c constraints.txt" in line, f"{path.name}: {line}"


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    from ebdsl.diagnostics.catalogue import CATALOGUE

    said = {c for p in PACKAGE.rglob("*.py") for c in re.findall(r'"(EB\d{4})"', p.read_text(encoding="utf-8"))}
    assert said and said <= set(CATALOGUE)
