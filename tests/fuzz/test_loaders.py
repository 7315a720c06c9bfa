"""Mutated scenario, npz and csv files: an object or a named error, nothing else, and nothing written elsewhere."""

from __future__ import annotations

import ast
import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.errors import GflowError
from gflow.problem.data_files import read_dataset
from gflow.problem.dataset import Dataset
from gflow.problem.image_files import read_cifar10, read_mnist
from gflow.problem.initialisation import read_file as read_start
from gflow.scenario import Scenario, load_scenario, parse_scenario, resolved_yaml
from tests.fuzz.mutation import mutated
from tests.scenario.test_load import EXAMPLE, GENERATORS, SHORT

ROOT = Path(__file__).resolve().parents[2]


def outcome(load: Callable[[], object], seed: int) -> str:
    """`loaded`, or `refused` with a message for people; any other exception fails with its seed."""
    try:
        load()
    except GflowError as error:
        assert str(error).strip(), f"seed {seed}: a refusal without words"
        return "refused"
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    return "loaded"


SCENARIOS = [EXAMPLE, *(SHORT.replace("{kind: gaussian, n: 20, d: 400}", generator) for generator in GENERATORS)]


def test_mutated_scenarios(tmp_path: Path) -> None:
    path, seen = tmp_path / "s.yaml", set()

    def load() -> Scenario:
        scenario = load_scenario(path)
        assert parse_scenario(resolved_yaml(scenario)) == scenario
        return scenario

    for seed in range(400):
        rng = np.random.default_rng([1, seed])
        path.write_bytes(mutated(SCENARIOS[seed % len(SCENARIOS)].encode(), rng))
        seen.add(outcome(load, seed))
    assert seen == {"loaded", "refused"}


def test_mutated_overrides() -> None:
    given = [b"flow.rtol=1e-9", b"model.activation={kind: relu}", b"record.times.at=[1, 2]", b"flow.budget.steps=3"]
    seen = set()
    for seed in range(200):
        text = mutated(given[seed % len(given)], np.random.default_rng([2, seed])).decode("utf-8", "replace")
        seen.add(outcome(lambda text=text: parse_scenario(SHORT, overrides=[text]), seed))  # type: ignore[misc]
    assert seen == {"loaded", "refused"}


def data_npz(compressed: bool) -> bytes:
    rng, file = np.random.default_rng(0), io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(file, X=rng.standard_normal((3, 2)), y=np.array([1.0, -1.0, 1.0]))
    return file.getvalue()


def start_npz() -> bytes:
    rng, file = np.random.default_rng(0), io.BytesIO()
    np.savez(file, W=rng.standard_normal((3, 2)), a=np.array([1.0, -1.0, 0.5]), b=np.zeros(3))
    return file.getvalue()


def one_image() -> bytes:
    return gzip.compress(struct.pack(">4i", 2051, 1, 28, 28) + bytes(range(256)) * 3 + bytes(16))


def read_one_image(path: Path) -> object:
    (path.parent / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 1) + b"\x07")
    return read_mnist(path.parent, "train")


CSV = b"x1,x2,label\n1.0,2.5,1\n-3e-1,4,-1\n\n# a comment\n0.5,1e3,1\n"
FILES: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "npz": ("d.npz", data_npz(False), read_dataset),
    "compressed npz": ("d.npz", data_npz(True), read_dataset),
    "csv": ("d.csv", CSV, read_dataset),
    "mnist": ("train-images-idx3-ubyte.gz", one_image(), read_one_image),
    "cifar10": ("test_batch.bin", b"\x03" + bytes(3072), lambda path: read_cifar10(path.parent, test=True)),
    "start": ("w.npz", start_npz(), lambda path: read_start(path, 3, 2, 1, True)),
}


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files(tmp_path: Path, kind: str) -> None:
    name, content, read = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    read(path)
    refused = 0
    for seed in range(250):
        path.write_bytes(mutated(content, np.random.default_rng([3, seed])))

        def load() -> object:
            loaded = read(path)
            if isinstance(loaded, Dataset):
                assert np.isfinite(loaded.X).all() and (np.abs(loaded.y) == 1.0).all()
            return loaded

        refused += outcome(load, seed) == "refused"
    assert refused >= 100


# It writes a kernel from the names of fields of the package's own records, as numba wants it; nothing is read for it.
WRITES_CODE = Path("gflow/compiled.py")


def test_nothing_in_the_package_runs_what_it_reads() -> None:
    """No eval, exec, compile, pickle; numpy never unpickles; YAML only by the safe loader."""
    seen_load = False
    for path in sorted((ROOT / "gflow").rglob("*.py")):
        file = path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call | ast.ClassDef):
                continue
            where = f"{file}:{node.lineno}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"}, where
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "compile", "__import__"), where
                assert called != "exec" or file == WRITES_CODE, where
                assert called not in ("os.system", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load"), (
                    where
                )
                assert not called.startswith("subprocess."), where
                if called in ("np.load", "numpy.load"):
                    seen_load = True
                    assert any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords), (
                        where
                    )
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert not bases & {"yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader"}, where
    assert seen_load, "np.load is called under another name: this check is blind"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_writes_its_own_folder_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the run folder nothing is made, changed or removed, whatever the run is asked to do."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", X=rng.standard_normal((4, 3)), y=np.array([1.0, -1.0, 1.0, -1.0]))
    text = SHORT.replace("{kind: gaussian, n: 20, d: 400}", "{kind: file, path: ../data.npz}")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "s.yaml").write_text(text.replace("{log_time: 1e4, log_loss: -50}", "{time: 1.0}"))
    monkeypatch.chdir(tmp_path / "work")
    before = tree(tmp_path)
    trajectory = gflow.simulate(load_scenario("s.yaml", ["name=mine"]))
    gflow.analyze(trajectory)
    after = tree(tmp_path)
    made = {name for name in after if name not in before}
    assert made and all(name.startswith("work/outputs/mine/") for name in made)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("name", ["../up", "/abs", "a/b", "..", ".", "a\\b", "~", "C:x", "x/../../y", "\u2044etc"])
def test_no_name_leads_out_of_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GflowError, match="name = "):
        gflow.simulate(parse_scenario(SHORT, overrides=[f"name={name!r}"]))
    assert tree(tmp_path) == {}
