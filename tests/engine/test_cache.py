"""What steps produced is kept and comes back; nothing of a person's own is ever lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podium.core.domain.runs import RunState, StepState
from podium.core.engine.cache import Cache, RestoreResult, file_copy, hashing
from podium.core.engine.graph import PlannedStep, build

from tests.engine.lab import Lab
from tests.support import wait_until

CHAIN = """
data: {run: "mkdir -p data/deep; cp source.txt data/deep/copy.txt; echo x >> ran-data", inputs: [source.txt], outputs: [data/]}
train: {run: "wc -c < data/deep/copy.txt > model; echo x >> ran-train", needs: [data], inputs: [data/], outputs: [model]}
"""


def ran(lab: Lab, step: str) -> int:
    path = lab.home / f"ran-{step}"
    return path.read_text().count("x") if path.exists() else 0


def test_nothing_changed_nothing_is_done(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    first, before = lab.run()
    second, after = lab.run()
    assert second.state is RunState.SUCCEEDED
    assert (ran(lab, "data"), ran(lab, "train")) == (1, 1)
    assert not before["data"].cached
    for name in ("data", "train"):
        assert after[name].cached
        assert after[name].origin == first.id
        assert after[name].key == before[name].key != ""
    assert f"unchanged since run {first.id}" in lab.log(second.id, "data", "p")


def test_a_changed_input_does_what_depends_on_it_again(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    lab.run()
    lab.write("source.txt", "two")
    _, steps = lab.run()
    assert not steps["data"].cached
    assert not steps["train"].cached
    lab.write("source.txt", "one")
    _, steps = lab.run()
    assert steps["data"].cached
    assert steps["train"].cached
    assert (lab.home / "data/deep/copy.txt").read_text() == "one"
    assert (ran(lab, "data"), ran(lab, "train")) == (2, 2)


def test_an_upstream_step_that_makes_the_same_again_spares_those_after_it(lab: Lab) -> None:
    lab.write("source.txt", "abc")
    lab.pipeline(CHAIN)
    lab.run()
    lab.pipeline(CHAIN.replace("mkdir -p data/deep;", "mkdir -p data/deep; true;"))
    _, steps = lab.run()
    assert not steps["data"].cached
    assert steps["train"].cached


@pytest.mark.parametrize("change", ["command", "env", "outputs", "params", "mode"])
def test_whatever_is_declared_to_matter_matters(lab: Lab, change: str) -> None:
    script = lab.write("s.sh", "echo hi > out; echo hi > more\n")
    text = 'a: {run: "sh s.sh ${{ params.p }}", inputs: [s.sh], outputs: [out], env: {E: "1"}}'
    lab.pipeline(text, extra='params: {p: "1", unused: "1"}')
    lab.run()
    assert lab.run(params={"unused": "2"})[1]["a"].cached
    params: dict[str, str] = {}
    match change:
        case "command":
            text = text.replace("sh s.sh", "sh  s.sh")
        case "env":
            text = text.replace('E: "1"', 'E: "2"')
        case "outputs":
            text = text.replace("[out]", "[out, more]")
        case "params":
            params = {"p": "2"}
        case _:
            script.chmod(0o755)
    lab.pipeline(text, extra='params: {p: "1", unused: "1"}')
    assert not lab.run(params=params)[1]["a"].cached


def test_outputs_come_back_whole(lab: Lab) -> None:
    lab.write(
        "make.sh",
        "mkdir -p out/empty out/dir; echo 1 > out/dir/file; echo 2 > out/run.sh; chmod +x out/run.sh; ln -sf dir/file"
        " out/link; ln -sfn dir out/dirlink; ln -sf nowhere out/broken; mkdir -p out/__pycache__; echo z >"
        " out/__pycache__/z.pyc",
    )
    lab.pipeline('a: {run: "sh make.sh", inputs: [make.sh], outputs: [out/]}')
    lab.run()
    shutil.rmtree(lab.home / "out")
    _, steps = lab.run()
    assert steps["a"].cached
    out = lab.home / "out"
    assert (out / "empty").is_dir()
    assert (out / "dir/file").read_text() == "1\n"
    assert os.access(out / "run.sh", os.X_OK)
    assert (out / "dirlink").readlink() == Path("dir")
    assert (out / "broken").readlink() == Path("nowhere")
    assert not (out / "__pycache__").exists()


def test_what_a_person_changed_is_moved_aside_not_lost(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    lab.run()
    (lab.home / "data/deep/copy.txt").write_text("mine")
    (lab.home / "data/extra.txt").write_text("also mine")
    run, steps = lab.run()
    assert steps["data"].cached
    assert (lab.home / "data/deep/copy.txt").read_text() == "one"
    assert not (lab.home / "data/extra.txt").exists()
    aside = lab.home / f".podium/runs/{run.id}/aside"
    assert (aside / "data/deep/copy.txt").read_text() == "mine"
    assert (aside / "data/extra.txt").read_text() == "also mine"
    assert "2 files with other content" in lab.log(run.id, "data", "p")


def test_a_file_where_a_directory_has_to_be(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    lab.run()
    shutil.rmtree(lab.home / "data")
    lab.write("data", "a file of mine")
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, steps["data"].message
    assert (lab.home / "data/deep/copy.txt").read_text() == "one"
    assert (lab.home / f".podium/runs/{run.id}/aside/data").read_text() == "a file of mine"


def test_a_damaged_store_is_noticed(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    lab.run()
    for path in (lab.home / ".podium/cache/objects").rglob("*"):
        if path.is_file():
            path.write_text("damaged")
    shutil.rmtree(lab.home / "data")
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert not steps["data"].cached
    assert "not whole in the cache" in lab.log(run.id, "data", "p")
    assert (lab.home / "data/deep/copy.txt").read_text() == "one"
    shutil.rmtree(lab.home / "data")
    assert lab.run()[1]["data"].cached


def test_a_damaged_database_is_thrown_away(lab: Lab) -> None:
    lab.write("source.txt", "one")
    lab.pipeline(CHAIN)
    lab.run()
    for suffix in ("", "-wal", "-shm"):
        path = lab.home / f".podium/cache/cache.db{suffix}"
        if path.exists():
            path.write_bytes(b"garbage" * 1000)
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED, run.message
    assert not steps["data"].cached
    assert lab.run()[1]["data"].cached


def test_a_declared_output_must_be_there(lab: Lab) -> None:
    lab.pipeline('a: {run: "true", outputs: [model.bin]}\nb: {run: "true", needs: [a]}')
    run, steps = lab.run()
    assert run.state is RunState.FAILED
    assert "did not write its output 'model.bin'" in steps["a"].message
    assert steps["b"].state is StepState.SKIPPED


def test_a_missing_input_is_said(lab: Lab) -> None:
    lab.pipeline('a: {run: "true", inputs: [nothing.csv]}\nb: {run: "true", inputs: ["no/*.csv"]}')
    _, steps = lab.run()
    assert steps["a"].message.startswith("input 'nothing.csv' does not exist")
    assert steps["b"].message.startswith("input 'no/*.csv' does not exist")


def test_patterns_as_inputs(lab: Lab) -> None:
    lab.write("src/a.py", "1")
    lab.write("src/deep/b.py", "1")
    lab.pipeline('a: {run: "true", inputs: ["src/**/*.py"], outputs: []}')
    lab.run()
    assert lab.run()[1]["a"].cached
    lab.write("src/other.txt", "1")
    lab.write("src/__pycache__/a.py", "1")
    assert lab.run()[1]["a"].cached
    lab.write("src/deep/c.py", "1")
    assert not lab.run()[1]["a"].cached


def test_a_training_step_has_inputs_and_no_outputs_and_is_cached(lab: Lab) -> None:
    lab.write("train.py", "1")
    lab.pipeline('train: {matrix: {d: [1, 2]}, run: "echo ${{ matrix.d }} >> trained", inputs: [train.py]}')
    first, before = lab.run()
    _, after = lab.run()
    assert all(step.cached and step.origin == first.id for step in after.values())
    assert {name: step.key for name, step in after.items()} == {name: step.key for name, step in before.items()}
    assert len({step.key for step in after.values()}) == 2
    assert sorted((lab.home / "trained").read_text().split()) == ["1", "2"]


def test_a_step_that_declares_nothing_is_never_cached_but_has_a_key(lab: Lab) -> None:
    lab.pipeline('a: {run: "true"}\nb: {run: "true", inputs: [podium.yaml], cache: false}')
    _, before = lab.run()
    _, after = lab.run()
    for name in ("a", "b"):
        assert not after[name].cached
        assert before[name].key
        assert after[name].key != before[name].key


def test_fresh_does_all_again_and_reports_what_is_not_deterministic(lab: Lab) -> None:
    lab.pipeline('a: {run: "mkdir -p out; date +%N > out/t; echo same > out/same", outputs: [out/]}')
    lab.run()
    run, steps = lab.run(fresh=True)
    assert not steps["a"].cached
    assert steps["a"].message.startswith("not deterministic")
    assert steps["a"].message.endswith("out/t")
    assert "not deterministic" in lab.log(run.id, "a", "p")


def test_an_input_that_changes_under_way_is_not_trusted(lab: Lab) -> None:
    lab.write("in.txt", "1")
    lab.pipeline('a: {run: "cat in.txt > out; echo 2 > in.txt", inputs: [in.txt], outputs: [out]}')
    run, steps = lab.run()
    assert run.state is RunState.SUCCEEDED
    assert "changed while it ran" in steps["a"].message
    lab.write("in.txt", "1")
    assert not lab.run()[1]["a"].cached


def test_a_failed_step_is_not_kept(lab: Lab) -> None:
    lab.pipeline('a: {run: "echo 1 > out; exit 1", outputs: [out]}')
    lab.run()
    run, steps = lab.run()
    assert (run.state, steps["a"].cached) == (RunState.FAILED, False)


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside"])
def test_paths_stay_inside(lab: Lab, path: str) -> None:
    project = lab.pipeline('a: {run: "true", outputs: [x]}')
    pipeline = project.pipelines["main"]
    for field in ("inputs", "outputs"):
        spec = replace(pipeline.steps["a"], **{field: (path,)})
        _, steps = lab.run(replace(project, pipelines={"main": replace(pipeline, steps={"a": spec})}))
        assert "outside of the project" in steps["a"].message


def test_what_a_step_writes_outside_of_its_outputs_stays_and_is_not_kept(lab: Lab, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    lab.pipeline(
        f"""a: {{run: "mkdir -p out; echo 1 > out/x; echo 1 > beside; echo 1 > '{elsewhere}'; echo again >> podium.log", outputs: [out/]}}"""
    )
    assert lab.run()[0].state is RunState.SUCCEEDED
    for path in (lab.home / "beside", elsewhere):
        path.write_text("mine by now")
    (lab.home / "podium.log").unlink()
    shutil.rmtree(lab.home / "out")
    _, steps = lab.run()
    assert steps["a"].cached
    assert (lab.home / "out/x").read_text() == "1\n"
    assert [path.read_text() for path in (lab.home / "beside", elsewhere)] == ["mine by now"] * 2
    assert not (lab.home / "podium.log").exists()


def test_outputs_on_another_disk_are_restored_there_and_what_stood_in_the_way_is_kept(lab: Lab, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (lab.home / "out").symlink_to(disk)
    lab.pipeline('a: {run: "echo 1 > out/x", outputs: [out/]}')
    lab.run()
    (disk / "x").write_text("mine")
    run, steps = lab.run()
    assert steps["a"].cached
    assert (lab.home / "out").is_symlink()
    assert (disk / "x").read_text() == "1\n"
    assert (lab.home / f".podium/runs/{run.id}/aside/out/x").read_text() == "mine"


def test_a_secret_in_the_environment_does_not_enter_the_key(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "first-secret")
    lab.pipeline('a: {run: "echo 1 > out", outputs: [out], env: {T: "${A_TOKEN}"}}')
    lab.run()
    monkeypatch.setenv("A_TOKEN", "second-secret")
    assert lab.run()[1]["a"].cached
    monkeypatch.setenv("MAX_TOKENS", "512")
    lab.pipeline('a: {run: "echo $T > out", outputs: [out], env: {T: "${MAX_TOKENS}"}}')
    lab.run()
    monkeypatch.setenv("MAX_TOKENS", "1024")
    lab.run()
    assert (lab.home / "out").read_text() == "1024\n", "what only sounds like a secret matters"


names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and name not in hashing.IGNORED and not name.endswith(".pyc"))
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map(tuple), st.binary(max_size=40), max_size=6)


def write_tree(root: Path, tree: dict[tuple[str, ...], bytes]) -> dict[str, bytes]:
    """Those of the tree that can exist together: no file above another."""
    written: dict[str, bytes] = {}
    for parts, content in tree.items():
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_dir():
                path.write_bytes(content)
        except (NotADirectoryError, FileExistsError):
            continue
    for path in root.rglob("*"):
        if path.is_file():
            written[str(path.relative_to(root))] = path.read_bytes()
    return written


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(trees, trees)
def test_any_tree_comes_back_over_any_other(
    tmp_path_factory: pytest.TempPathFactory, lab: Lab, kept: dict, other: dict
) -> None:  # type: ignore[type-arg]
    root = tmp_path_factory.mktemp("tree")
    state = tmp_path_factory.mktemp("state")
    project = lab.project if (lab.home / "podium.yaml").exists() else lab.pipeline('a: {run: "true", outputs: [out/]}')
    step: PlannedStep = build(project.pipelines["main"])[0]
    cache = Cache(state)
    (root / "out").mkdir()
    before = write_tree(root / "out", kept)
    cache.keep("k", 1, step, root)
    shutil.rmtree(root / "out")
    (root / "out").mkdir()
    mine = write_tree(root / "out", other)
    found = cache.find("k")
    assert found is not None
    restored = cache.restore(found, root, root / "aside", link=False)
    assert restored is not None
    now = {
        str(path.relative_to(root / "out")): path.read_bytes() for path in (root / "out").rglob("*") if path.is_file()
    }
    assert now == before
    held = {
        path.read_bytes()
        for path in [*(root / "aside").rglob("*"), *(state / "cache/objects").rglob("*")]
        if path.is_file()
    }
    assert set(mine.values()) <= held | set(before.values())
    assert cache.restore(found, root, root / "aside", link=False) == RestoreResult(0, 0), (
        "it is what it was, empty directories and all"
    )
    cache.close()


def settle(path: Path) -> None:
    """Waits until the file system's clock is past the file's last change."""
    probe = path.with_name("probe")

    def later() -> bool:
        probe.touch()
        return probe.stat().st_ctime_ns > path.stat().st_ctime_ns + 2 * hashing._SETTLED_NS

    wait_until(later, what="the clock of the file system goes on")


def test_a_file_is_read_again_only_when_it_may_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    hashes = hashing.FileHashes(sqlite3.connect(":memory:", isolation_level=None))
    path = tmp_path / "f"
    path.write_text("one")
    fresh = hashes.digest(str(path), path.stat())
    past = time.time() - 10
    os.utime(path, (past, past))
    settle(path)
    assert hashes.digest(str(path), path.stat()) == fresh
    reads: list[str] = []
    original = hashing._read
    monkeypatch.setattr(hashing, "_read", lambda name, breathe: reads.append(name) or original(name, breathe))
    assert hashes.digest(str(path), path.stat()) == fresh
    assert reads == []
    hashes.save()
    assert hashes.digest(str(path), path.stat()) == fresh
    assert reads == []
    path.write_text("two")
    assert hashes.digest(str(path), path.stat()) != fresh
    # Written a moment ago: within one tick of the clock it could be written again and look the same.
    assert hashes.digest(str(path), path.stat())
    assert len(reads) == 2


def test_hard_links_only_where_asked_for_and_files_with_a_life_of_their_own(tmp_path: Path, lab: Lab) -> None:
    project = lab.pipeline('a: {run: "true", outputs: [big]}')
    step = build(project.pipelines["main"])[0]
    cache = Cache(tmp_path / "state")
    root = tmp_path / "root"
    root.mkdir()
    (root / "big").write_bytes(b"x" * file_copy.MIN_LINK_BYTES)
    cache.keep("k", 1, step, root)
    found = cache.find("k")
    assert found
    (root / "big").unlink()
    cache.restore(found, root, tmp_path / "aside", link=False)
    assert (root / "big").stat().st_nlink == 1
    (root / "big").unlink()
    cache.restore(found, root, tmp_path / "aside", link=True)
    if (root / "big").stat().st_nlink > 1:
        cache.detach(root, ["big"])
        assert (root / "big").stat().st_nlink == 1
    with (root / "big").open("r+b") as file:
        file.write(b"changed")
    assert cache.restore(found, root, tmp_path / "aside", link=False)
    assert (root / "big").read_bytes() == b"x" * file_copy.MIN_LINK_BYTES
    (root / "big").chmod(0o755)
    cache.keep("x", 1, step, root)
    executable = cache.find("x")
    assert executable
    (root / "big").unlink()
    assert cache.restore(executable, root, tmp_path / "aside", link=True) == RestoreResult(1, 0)
    assert os.access(root / "big", os.X_OK)
    assert cache.restore(executable, root, tmp_path / "aside", link=True) == RestoreResult(0, 0)
    cache.close()


def test_a_training_whose_mlflow_runs_are_gone_is_done_again(lab: Lab) -> None:
    lab.write("source", "1")
    project = lab.pipeline("train: {run: cp source model, inputs: [source], outputs: [model]}")
    lab.run(project)
    run, steps = lab.run(project)
    assert steps["train"].cached and run.state is RunState.SUCCEEDED
    with closing(Cache(lab.home / ".podium")) as cache:
        cache.tracked.note([steps["train"].key])
    _, again = lab.run(project)
    assert not again["train"].cached and not (lab.home / ".podium/mlflow/mlflow.db").exists()
    assert "the MLflow runs that it left are gone: done again" in lab.log(again["train"].run_id, "train", "p")
