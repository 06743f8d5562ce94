"""Properties of the code itself: who may import whom, who may ask the time, what decides must be pure."""
import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "muster"
FLOORS = {"api": 0, "store": 1, "server": 2, "client": 3, "control": 4, "controllers": 5, "scheduler": 5, "node": 5,
          "network": 5, "why": 6, "rehearsal": 7, "bench": 7, "cli": 8, "dashboard": 8, "testing": 9}
# Beside the floors: what composes them, and what it is composed from.
BESIDE = {"app", "process", "clock", "bootstrap", "request", "data_directory", "__main__", "manifests", "private_file",
          "pytest_plugin", "cluster_network", "own_addresses", "joined_machine"}
COMPOSED = {"app", "bootstrap", "manifests"}  # what a rehearsal is made of: it composes a cluster, as app.py does
AMBIENT = {"time.time", "time.monotonic", "time.sleep", "datetime.now", "datetime.utcnow", "random.random",
           "random.choice", "random.uniform", "random.Random", "uuid.uuid4", "uuid.uuid1", "os.urandom",
           "secrets.token_hex", "secrets.token_bytes"}
MAY_BE_AMBIENT = {"clock.py", "app.py"}
PURE = ("api/", "controllers/", "scheduler/", "why/", "node/plan.py", "node/turn.py", "node/pulling.py",
        "node/running.py", "node/stopping.py", "node/usage.py", "node/pressure.py",
        "control/plan.py", "control/revisions.py", "control/owners.py", "network/backends.py", "network/dns.py", "network/nft_table.py",
        "network/proxy.py")


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def imported(name: str, tree: ast.AST):
    """The first step below `muster` of each module that this one imports."""
    depth = name.count("/")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == depth + 1:
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield module.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("muster."):
            yield node.module.split(".")[1], node.lineno


def test_imports_point_down():
    wrong = []
    for name, tree in modules():
        floor = name.split("/")[0]
        if floor not in FLOORS:
            continue
        for other, line in imported(name, tree):
            if other in FLOORS and other != floor and FLOORS[other] >= FLOORS[floor] or \
                    other in BESIDE - {"clock", "private_file"} and FLOORS[floor] < FLOORS["cli"] \
                    and not (floor == "rehearsal" and other in COMPOSED):
                wrong.append(f"{name}:{line} imports {other}")
    assert not wrong


def test_every_part_has_a_floor():
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert parts <= set(FLOORS)


def test_nobody_but_the_clock_is_ambient():
    wrong = [f"{name}:{node.lineno} {ast.unparse(node.func)}"
             for name, tree in modules() if name not in MAY_BE_AMBIENT
             for node in ast.walk(tree)
             if isinstance(node, ast.Call) and ast.unparse(node.func) in AMBIENT]
    assert not wrong


def test_decisions_are_pure():
    """What decides holds no `async`, no logger and no open()."""
    wrong = [f"{name}:{node.lineno}" for name, tree in modules() if name.startswith(PURE)
             for node in ast.walk(tree)
             if isinstance(node, ast.AsyncFunctionDef | ast.Await)
             or isinstance(node, ast.Call) and ast.unparse(node.func) in ("logging.getLogger", "open", "print")]
    assert not wrong


def test_every_module_says_why_it_exists():
    silent = [name for name, tree in modules() if name != "__init__.py" and not name.endswith("/__init__.py")
              and not ast.get_docstring(tree)]
    assert not silent


def test_no_vague_names():
    vague = re.compile(r"(utils?|helpers?|managers?|misc|common|base|impl)$")
    wrong = [name for name, _ in modules() if any(vague.search(part) for part in name[:-3].split("/"))]
    assert not wrong


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    wrong = [f"{path.relative_to(ROOT)}:{number}" for path in sorted(PACKAGE.rglob("*.py"))
             for number, line in enumerate(path.read_text().splitlines(), 1) if marks.search(line)]
    assert not wrong


# Folders that the map names as a whole.
WHOLE = ("api/kinds", "api/validation", "bench", "cli", "node/cri", "testing")


def test_the_map_names_what_there_is():
    """docs/ARCHITECTURE.md: every module, by its name or, where a family shares its beginning, by the rest of it."""
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    words = set(re.findall(r"\w+", page.partition("## Where things are")[2]))

    def is_named(stem: str) -> bool:
        return stem in words or any(words & {stem[:end], stem[:end + 1]} and words & {stem[end:], stem[end + 1:]}
                                    for end, letter in enumerate(stem) if letter == "_")

    paths = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__")]
    assert not [str(path) for path in paths if path.parent.as_posix() not in WHOLE and not is_named(path.stem)]
    assert all(f"{folder.rpartition('/')[2]}/" in page for folder in WHOLE)
    there = {path.name for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py")}
    assert not set(re.findall(r"\w+\.py\b", page)) - there


def test_links_lead_somewhere():
    pages = [ROOT / "README.md", *(page for folder in ("docs", "changes") for page in (ROOT / folder).rglob("*.md"))]
    wrong = [f"{page.relative_to(ROOT)}: {link}" for page in pages
             for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
             if not link.startswith("http") and not _leads(page, *link.partition("#")[::2])]
    assert not wrong


def _leads(page: Path, path: str, anchor: str) -> bool:
    target = (page.parent / path) if path else page
    if not target.exists() or not anchor:
        return target.exists()
    heads = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return anchor in [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]


CALLED = {"pyjwt": "jwt", "pyyaml": "yaml", "grpcio": "grpc", "protobuf": "google"}  # the module of a package, where it is not its name


def modules_of(packages: list[str]) -> set[str]:
    names = [re.match(r"[\w-]+", package)[0].lower().replace("-", "_") for package in packages]
    return {CALLED.get(name, name) for name in names}


def test_what_is_imported_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    always = modules_of(project["dependencies"])
    with_extras = always.union(*map(modules_of, project["optional-dependencies"].values()))
    found = {name.partition(".")[0] for _, tree in modules() for node in ast.walk(tree)
             for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                          [node.module] if isinstance(node, ast.ImportFrom) and not node.level else [])}
    found -= sys.stdlib_module_names | {"muster", "pytest"}
    assert not found - with_extras
    assert always - found == {"tzdata"}, "which zoneinfo reads where the machine has no zones"


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--output-format", "concise", str(ROOT)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
