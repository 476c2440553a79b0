"""What a bad podium.yaml is told: where, which key, what to do; all of it at once; and nothing but PodiumErrors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podium.core.config import load
from podium.core.config.loading import from_text
from podium.core.errors import ConfigError, PodiumError, Problem

from tests.runner.turns import examples
from tests.support import bytes_read

from .test_loading import FLIGHTS

Problems = Callable[..., tuple[Problem, ...]]

HEAD = "project: p\n"
MONITORED = "environments: {e: {port: 5100}}\n"


def step(body: str) -> str:
    return f"{HEAD}pipelines:\n  p:\n    params: {{x: 1}}\n    steps:\n      a: {{run: 'true'}}\n      s: {body}\n"


OPEN = "environments: {e: {bind: 0.0.0.0, "
TLS = "tls: {certificate: a.pem, key: b.pem, host: x.example.com}"
GATE_START = "gates: {g: {data: a.csv, target: y, checks: [{"
ANALYSIS_START = "environments: {a: {strategy: {canary: {analysis: [{"
ANALYSIS = "environments.a.strategy.canary.analysis[0]"
CASES = [
    # text, where, key, words of the message, words of the hint
    (HEAD + "pipelnes: {}\n", "2:1", "pipelnes", "unknown key", "pipelines"),
    (HEAD + "git:\n\tbranch: main\n", "3:1", "", "tab", "spaces"),
    (HEAD + "git: {branch: a}\ngit: {branch: b}\n", "3:1", "git", "twice, first in line 2", "remove"),
    (HEAD + "git: [a]\n", "2:6", "git", "has to be a mapping, not a list", "branch, host"),
    (HEAD + "git: {branch: [a]}\n", "2:15", "git.branch", "one value, not a list", ""),
    (HEAD + "git: {branch: 'a..b'}\n", "2:15", "git.branch", "branch", ""),
    (HEAD + "git: {branch: a\n", "3:1", "", "expected", "not closed"),
    (HEAD + "env: {A: ${NOPE}}\n", "2:11", "", "expected", "quotes"),
    (HEAD + "env: {A: '${NOPE}'}\n", "2:10", "env.A", "NOPE is not set", "export NOPE"),
    (HEAD + "env: {A: '${1}'}\n", "2:10", "env.A", "does not begin a variable", "$${"),
    (HEAD + "env: {1A: x}\n", "2:7", "env.1A", "cannot be the name", "digit"),
    (HEAD + "env: {A: '${{ params.x }}'}\n", "2:10", "env.A", "not filled in here", "env"),
    (HEAD + "mlflow: {model: a/b}\n", "2:17", "mlflow.model", "not a model's name", ""),
    (HEAD + "mlflow: {model: '..'}\n", "2:17", "mlflow.model", "not a model's name", ""),
    (
        HEAD + "pipelines: {p: {steps: {t: {run: x}, s: {uses: register, needs: [t], metric: rmse, model: a/b}}}}\n",
        "2:91",
        "pipelines.p.steps.s.model",
        "not a model's name",
        "",
    ),
    (HEAD + "pipelines: {p: {steps: {}}}\n", "2:24", "pipelines.p.steps", "has no step", ""),
    (HEAD + "pipelines: {p: {}}\n", "2:16", "pipelines.p.steps", "is missing", ""),
    (HEAD + "pipelines: {'a b': {steps: {s: {run: x}}}}\n", "2:13", "pipelines.a b", "cannot be the name", ""),
    (HEAD + "pipelines: {p: {on: {push: 'a b'}, steps: {s: {run: x}}}}\n", "2:28", "pipelines.p.on.push", "branch", ""),
    (
        HEAD + "pipelines: {p: {on: {schedule: '61 * * * *'}, steps: {s: {run: x}}}}\n",
        "2:32",
        "pipelines.p.on.schedule",
        "cron",
        "",
    ),
    (
        HEAD + "pipelines: {p: {on: {schedule: '@daily'}, steps: {s: {run: x}}}}\n",
        "2:32",
        "pipelines.p.on.schedule",
        "five fields",
        "",
    ),
    (
        HEAD + "pipelines: {p: {on: {schedule: '0 0 30 2 *'}, steps: {s: {run: x}}}}\n",
        "2:32",
        "pipelines.p.on.schedule",
        "day-of-month",
        "",
    ),
    (
        HEAD + "pipelines: {p: {on: {alert: nope}, steps: {s: {run: x}}}}\n",
        "2:29",
        "pipelines.p.on.alert",
        "unknown alert `nope`",
        "",
    ),
    (
        HEAD + OPEN + "}}\n",
        "2:26",
        "environments.e.bind",
        "other machines, and there is no `tls` and `auth`",
        "open: true",
    ),
    (HEAD + OPEN + "auth: tokens}}\n", "2:26", "environments.e.bind", "there is no `tls`", "add `tls`, or"),
    (HEAD + OPEN + f"{TLS}}}}}\n", "2:26", "environments.e.bind", "there is no `auth`", "add `auth`, or"),
    (
        HEAD + "environments: {e: {tls: {certificate: a}}}\n",
        "2:25",
        "environments.e.tls.host",
        "is needed, too",
        "host",
    ),
    (HEAD + "environments: {e: {tls: {}}}\n", "2:25", "environments.e.tls", "is empty", "certificate, key and host"),
    (HEAD + "environments: {e: {tls: certs}}\n", "2:25", "environments.e.tls", "does nothing with `tls`", "docker"),
    (
        HEAD + "environments: {e: {auth: {client_ca: a.pem}}}\n",
        "2:26",
        "environments.e.auth.client_ca",
        "need TLS",
        "tls",
    ),
    (HEAD + "environments: {e: {auth: basic}}\n", "2:26", "environments.e.auth", "not known", "tokens"),
    (
        HEAD + "environments: {e: {who: {stop: []}}}\n",
        "2:32",
        "environments.e.who.stop",
        "names nobody",
        "leave it out",
    ),
    (
        HEAD + "environments: {e: {who: {stop: {}}}}\n",
        "2:32",
        "environments.e.who.stop",
        "names nobody",
        "leave it out",
    ),
    (HEAD + "environments: {e: {limits: {rate: 5}}}\n", "2:35", "environments.e.limits.rate", "not a rate", "200/s"),
    (step("{}"), "7:10", "pipelines.p.steps.s", "needs one of the keys run, uses", ""),
    (step("{rum: x}"), "7:10", "pipelines.p.steps.s", "needs one of", "did you mean `run`"),
    (step("{run: x, uses: gate}"), "7:10", "pipelines.p.steps.s", "both `run` and `uses`", ""),
    (step("{run: x, metric: y}"), "7:19", "pipelines.p.steps.s.metric", "unknown key `metric`", ""),
    (step("{run: ''}"), "7:16", "pipelines.p.steps.s.run", "is empty", ""),
    (step("{uses: regster, metric: auc}"), "7:17", "pipelines.p.steps.s.uses", "`regster` is not known", "register"),
    (step("{uses: register}"), "7:10", "pipelines.p.steps.s.metric", "is missing", ""),
    (
        step("{uses: register, metric: luck}"),
        "7:35",
        "pipelines.p.steps.s.metric",
        "whether more `luck` is better",
        "goal",
    ),
    (step("{uses: gate, gate: g}"), "7:29", "pipelines.p.steps.s.gate", "unknown gate `g`", "no gate"),
    (step("{uses: deploy, environment: e}"), "7:38", "pipelines.p.steps.s.environment", "unknown environment `e`", ""),
    (
        step("{uses: promote, environment: e, force: true}"),
        "7:49",
        "pipelines.p.steps.s.force",
        "not a reason",
        "",
    ),
    (
        step("{uses: promote, environment: e, force: false}"),
        "7:49",
        "pipelines.p.steps.s.force",
        "leave the key out",
        "",
    ),
    (step("{uses: promote, environment: e, force: }"), "7:49", "pipelines.p.steps.s.force", "has no value", ""),
    (step("{run: x, needs: [a, aa]}"), "7:30", "pipelines.p.steps.s.needs[1]", "unknown step `aa`", "did you mean `a`"),
    (step("{run: x, needs: b}"), "7:26", "pipelines.p.steps.s.needs", "unknown step `b`", ""),
    (step("{run: x, needs: s}"), "7:26", "pipelines.p.steps.s.needs", "s → s", "take one need out"),
    (step("{run: x, timeout: 20}"), "7:28", "pipelines.p.steps.s.timeout", "not a length of time", "20s"),
    (step("{run: x, timeout: soon}"), "7:28", "pipelines.p.steps.s.timeout", "not a length of time", "1h30m"),
    (step("{run: x, retries: many}"), "7:28", "pipelines.p.steps.s.retries", "not a whole number", ""),
    (step("{run: x, retries: -1}"), "7:28", "pipelines.p.steps.s.retries", "out of range", "from 0 to 100"),
    (step('{run: x, retries: "1"}'), "7:28", "pipelines.p.steps.s.retries", "quoted", "quotes out"),
    (step("{run: x, cache: yes}"), "7:26", "pipelines.p.steps.s.cache", "neither true nor false", "write true"),
    (step("{run: x, cache: }"), "7:26", "pipelines.p.steps.s.cache", "has no value", ""),
    (step("{run: x, inputs: [/etc]}"), "7:28", "pipelines.p.steps.s.inputs[0]", "not relative", ""),
    (step("{run: x, outputs: [../x]}"), "7:29", "pipelines.p.steps.s.outputs[0]", "leads out", ""),
    (step("{run: x, outputs: [.podium/x]}"), "7:29", "pipelines.p.steps.s.outputs[0]", "own", ""),
    (
        step("{run: 'echo ${{ params.y }}'}"),
        "7:16",
        "pipelines.p.steps.s.run",
        "unknown value `${{ params.y }}`",
        "params.x",
    ),
    (step("{run: 'echo ${{ matrix.y }}'}"), "7:16", "pipelines.p.steps.s.run", "unknown value", ""),
    (step("{run: 'echo ${{ x }}'}"), "7:16", "pipelines.p.steps.s.run", "not the name of a value", "params.NAME"),
    (step("{run: 'echo ${{ params.x'}"), "7:16", "pipelines.p.steps.s.run", "not closed", ""),
    (step("{run: 'echo `${{ params.x }}`'}"), "7:16", "pipelines.p.steps.s.run", "inside backquotes", "env"),
    (
        step("{run: x, when: params.z == '1'}"),
        "7:25",
        "pipelines.p.steps.s.when",
        "unknown value `params.z`",
        "params.x",
    ),
    (step("{run: x, when: params.x = '1'}"), "7:25", "pipelines.p.steps.s.when", "`=` at column 10", "=="),
    (
        step("{run: x, when: needs.a.state == 'failed'}"),
        "7:25",
        "pipelines.p.steps.s.when",
        "unknown value `needs.a.state`",
        "",
    ),
    (step("{run: x, when: now()}"), "7:25", "pipelines.p.steps.s.when", "`now()` is not known", "always()"),
    (step("{run: x, matrix: {}}"), "7:27", "pipelines.p.steps.s.matrix", "has no values", ""),
    (step("{run: x, matrix: {d: []}}"), "7:31", "pipelines.p.steps.s.matrix.d", "empty list", ""),
    (step("{run: x, matrix: {d: [1, 1]}}"), "7:31", "pipelines.p.steps.s.matrix.d", "holds `1` twice", ""),
    (
        step("{run: x, matrix: {d: [1], exclude: [{e: 1}]}}"),
        "7:46",
        "pipelines.p.steps.s.matrix.exclude[0].e",
        "is not in the matrix",
        "",
    ),
    (
        step("{run: x, matrix: {d: [1, 2]}, outputs: [m]}"),
        "7:50",
        "pipelines.p.steps.s.outputs[0]",
        "several cells",
        "matrix.d",
    ),
    (
        step("{run: 'e ${{ matrix.f }}', matrix: {d: [1], include: [{d: 2, f: 3}]}}"),
        "7:16",
        "pipelines.p.steps.s.run",
        "unknown value",
        "matrix.d",
    ),
    (
        step("{run: x, outputs: [m/]}\n      t: {run: x, outputs: [m/n]}"),
        "8:28",
        "pipelines.p.steps.t.outputs",
        "also written by step `s`",
        "",
    ),
    (
        step("{run: x, outputs: [m/]}\n      t: {run: x, inputs: [m/n]}"),
        "8:27",
        "pipelines.p.steps.t.inputs",
        "does not wait for",
        "add s to its needs",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metrc: x}]}}\n",
        "2:46",
        "gates.g.checks[0]",
        "needs one of the keys",
        "metric",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1}]}}\n",
        "2:46",
        "gates.g.checks[0]",
        "checks nothing",
        "",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: zz, compare: champion}]}}\n",
        "2:55",
        "gates.g.checks[0].metric",
        "no gate can compute `zz`",
        "roc_auc",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1_macro, at_least: 1, goal: maximize}]}}\n",
        "2:55",
        "gates.g.checks[0].metric",
        "no gate can compute `f1_macro`",
        "",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: acuracy, at_least: 1}]}}\n",
        "2:55",
        "gates.g.checks[0].metric",
        "no gate can compute `acuracy`",
        "did you mean `accuracy`",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1, at_least: 0, goal: minimize}]}}\n",
        "2:78",
        "gates.g.checks[0].goal",
        "has the goal maximize",
        "leave",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1, at_least: 1.5}]}}\n",
        "2:69",
        "gates.g.checks[0].at_least",
        "never above 1",
        "",
    ),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: rmse, at_most: -1}]}}\n",
        "2:70",
        "gates.g.checks[0].at_most",
        "never below 0",
        "",
    ),
    (
        HEAD
        + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1, at_least: 0}, {metric: rmse, at_most: 1}]}}\n",
        "2:82",
        "gates.g.checks[1].metric",
        "cannot be measured beside `f1`",
        "two gates",
    ),
    (
        HEAD + "gates: {g: {data: d, target: t, answers: label, checks: [{metric: brier, at_most: 1}]}}\n",
        "2:67",
        "gates.g.checks[0].metric",
        "needs probabilities",
        "",
    ),
    (step("{run: x, fail_fast: false}"), "7:30", "pipelines.p.steps.s.fail_fast", "beside `matrix`", ""),
    (
        HEAD + "gates: {g: {data: d.csv, target: t, checks: [{metric: f1, at_least: 2, at_most: 1}]}}\n",
        "2:69",
        "gates.g.checks[0].at_least",
        "nothing",
        "",
    ),
    (HEAD + "environments: {a: {port: 0}}\n", "2:26", "environments.a.port", "out of range", "from 1 to 65535"),
    (HEAD + "nice: 20\n", "2:7", "nice", "out of range", "from 0 to 19"),
    (
        HEAD + "environments: {a: {batch: {max: 65}}}\n",
        "2:33",
        "environments.a.batch.max",
        "out of range",
        "from 2 to 64",
    ),
    (
        HEAD + "environments: {a: {batch: {wait: 2s}}}\n",
        "2:34",
        "environments.a.batch.wait",
        "is out of",
        "from 0 to 1",
    ),
    (HEAD + "environments: {a: {port: 70000}}\n", "2:26", "environments.a.port", "out of range", "65535"),
    (
        HEAD + "environments: {a: {port: 1}, b: {port: 1}}\n",
        "2:40",
        "environments.b.port",
        "already that of environment `a`",
        "its own",
    ),
    (HEAD + "environments: {a: {}, b: {}}\n", "2:26", "environments.b.port", "5100 (the default) is already", ""),
    (
        HEAD + "environments: {a: {driver: proces}}\n",
        "2:28",
        "environments.a.driver",
        "`proces` is not known",
        "process",
    ),
    (HEAD + "environments: {a: {host: ssh://x}}\n", "2:26", "environments.a.host", "this machine only", "docker"),
    (HEAD + "environments: {a: {strategy: bluegreen}}\n", "2:30", "environments.a.strategy", "not known", "blue-green"),
    (
        HEAD + "environments: {a: {strategy: {canary: {weights: [50, 5]}}}}\n",
        "2:49",
        "environments.a.strategy.canary.weights",
        "do not rise",
        "",
    ),
    (
        HEAD + ANALYSIS_START + "signal: requests, at_least: 1}]}}}}\n",
        "2:60",
        f"{ANALYSIS}.signal",
        "`requests` is not known",
        "error_rate, latency_p50",
    ),
    (
        HEAD + ANALYSIS_START + "signal: cpu, at_most: 1}]}}}}\n",
        "2:60",
        f"{ANALYSIS}.signal",
        "`cpu` is not known",
        "latency_p99",
    ),
    (
        HEAD + "monitors: {m: {environment: e, drift: psi, reference: r}}\n",
        "2:29",
        "monitors.m.environment",
        "unknown environment",
        "",
    ),
    (
        HEAD + MONITORED + "monitors: {m: {environment: e, quality: roc_acu, gate: nope}}\n",
        "3:41",
        "monitors.m.quality",
        "unknown metric `roc_acu`",
        "roc_auc",
    ),
    (
        HEAD
        + MONITORED
        + "monitors: {m: {environment: e, signal: cpu}}\nalerts: {a: {monitor: m, false_alarms: 1/month}}\n",
        "4:40",
        "alerts.a.false_alarms",
        "only a monitor of drift finds its own critical value",
        "",
    ),
    (
        HEAD
        + MONITORED
        + "monitors: {m: {environment: e, drift: ks, reference: {first: 99}, every: 7d}}\n"
        + "alerts: {a: {monitor: m, false_alarms: 1/week}}\n",
        "4:40",
        "alerts.a.false_alarms",
        "is more often than every second evaluation of `m`",
        "",
    ),
    (
        HEAD + MONITORED + "monitors: {m: {environment: e, drift: psi, reference: {gate: nope}}}\n",
        "3:62",
        "monitors.m.reference.gate",
        "unknown gate `nope`",
        "",
    ),
    (
        HEAD + MONITORED + "monitors: {m: {environment: e, drift: psi, reference: r, window: ten}}\n",
        "3:66",
        "monitors.m.window",
        "`ten` is neither a number of rows nor a length of time",
        "write 1000, or 24h",
    ),
    (
        HEAD + MONITORED + "monitors: {m: {environment: e, freshness: data}}\n",
        "3:15",
        "monitors.m.path",
        "is missing",
        "",
    ),
    (HEAD + "alerts: {a: {monitor: m, above: 1}}\n", "2:23", "alerts.a.monitor", "unknown monitor", ""),
    (HEAD + "infra: {a: {terraform: x, cloudformation: y}}\n", "2:12", "infra.a", "both", ""),
    ("git: {}\n", "1:1", "project", "is missing", ""),
    ("- a\n", "1:1", "", "has to be a mapping, not a list", ""),
    (HEAD + "---\nproject: q\n", "2:1", "", "second document", ""),
    ("project: !!python/object:os.system x\n", "1:10", "", "tag", "quote"),
    ("project: *p\n", "1:10", "", "not defined", "quote"),
    ("? [a]\n: b\n", "1:3", "", "a list cannot be a key", ""),
    ("project: 'a\\0'\n", "1:10", "project", "not a name", ""),
    ('project: "a\\0"\n', "1:10", "project", "character", ""),
    (
        HEAD + GATE_START + "replay: nowhere}]}}\nenvironments: {e: {}}\n",
        "2:55",
        "gates.g.checks[0].replay",
        "unknown environment",
        "",
    ),
    (
        HEAD + GATE_START + "replay: e, at_least: 9, limit: 5}]}}\nenvironments: {e: {}}\n",
        "2:68",
        "gates.g.checks[0].at_least",
        "above `limit`",
        "",
    ),
    (
        HEAD + GATE_START + "replay: e, max_differing: 1.5}]}}\nenvironments: {e: {}}\n",
        "2:73",
        "gates.g.checks[0].max_differing",
        "out of range",
        "0 to 1",
    ),
]


@pytest.mark.parametrize(
    ("text", "where", "key", "message", "hint"), CASES, ids=[f"{case[2] or 'file'}: {case[3]}" for case in CASES]
)
def test_each_is_told_where_and_why(
    problems: Problems, text: str, where: str, key: str, message: str, hint: str
) -> None:
    found = problems(text)
    match = [problem for problem in found if problem.key == key and message in problem.message]
    assert match, "\n".join(f"{problem} ({problem.hint})" for problem in found)
    assert f"{match[0].line}:{match[0].column}" == where
    assert hint in match[0].hint
    assert str(match[0]).startswith(f"podium.yaml:{where}:")


def test_all_at_once_and_in_order(problems: Problems) -> None:
    found = problems("""
        project: p
        gti: {}
        pipelines:
          p:
            steps:
              s: {run: x, needs: [nope], timeout: 5, cahce: true}
        environments:
          e: {port: -1, replicas: none}
    """)
    assert [problem.key for problem in found] == [
        "gti",
        "pipelines.p.steps.s.needs[0]",
        "pipelines.p.steps.s.timeout",
        "pipelines.p.steps.s.cahce",
        "environments.e.port",
        "environments.e.replicas",
    ]


def test_a_thing_that_is_wrong_inside_is_still_there_for_others(problems: Problems) -> None:
    found = problems("""
        project: p
        pipelines: {p: {steps: {a: {run: x, retries: x}, b: {uses: deploy, environment: e, needs: a}, c: 5, d: {run: x, needs: c}}}}
        environments: {e: 5}
    """)
    assert [problem.key for problem in found] == [
        "pipelines.p.steps.a.retries",
        "pipelines.p.steps.c",
        "environments.e",
    ]


def test_a_loop_is_named(problems: Problems) -> None:
    found = problems(
        "project: p\npipelines: {p: {steps: {a: {run: x, needs: c}, b: {run: x, needs: a}, c: {run: x, needs: [b]}, d:"
        " {run: x}}}}\n"
    )
    assert len(found) == 1 and "a → c → b → a" in found[0].message


def test_a_secret_is_not_repeated(problems: Problems) -> None:
    found = problems("project: p\nenvironments: {e: {port: '${MY_TOKEN}'}}\n", MY_TOKEN="hunter2")
    assert "hunter2" not in str(found) and "${MY_TOKEN}" in found[0].message


def test_not_text(problems: Problems) -> None:
    assert "UTF-8" in problems(b"project: p\ngit: {branch: \xff}\n")[0].message
    assert str(problems(b"project: p\ngit: {branch: \xff}\n")[0]).startswith("podium.yaml:2:15")
    assert "binary" in problems(b"\x7fELF\0\0\0")[0].message
    assert "UTF-8" in problems("project: p\n".encode("utf-16"))[0].message
    assert "control" in problems("project: \x1b[31m\n")[0].message
    for empty in ("", "# nothing\n", "---\n", "  \n\n"):
        assert "is empty" in problems(empty)[0].message


def test_a_file_that_is_too_big_is_not_read(problems: Problems, tmp_path: Path) -> None:
    huge = tmp_path / "podium.yaml"
    with huge.open("wb") as file:
        file.truncate(100_000_000)
    before = bytes_read()
    with pytest.raises(ConfigError, match=r"100\.0 MB"):
        load(tmp_path, environ={})
    assert bytes_read() - before < 10_000_000


def test_files_that_are_no_files(tmp_path: Path) -> None:
    path = tmp_path / "podium.yaml"
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path, environ={})
    path.mkdir()
    with pytest.raises(ConfigError, match="regular file"):
        load(tmp_path, environ={})
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="regular file"):
        load(tmp_path, environ={})
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="regular file"):
        load(tmp_path, environ={})


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines) + "\n"


@pytest.mark.timeout(20)  # what goes off takes hours, not seconds
@pytest.mark.parametrize(
    "text",
    [
        bomb(),
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "[" * 100_000,
        "a: " + "{a: " * 5000,
        "- " * 100_000,
        "[" + "[]," * 300_000 + "]",
        HEAD + "env: {" + ",".join(f"A{n}: x" for n in range(99_000)) + "}",
        HEAD + "".join(f"k{n}: x\n" for n in range(40_000)),
        HEAD + "pipelines: {p: {steps: {" + ",".join(f"s{n}: {{run: x, needs: [t{n}]}}" for n in range(9_000)) + "}}}",
        HEAD
        + "pipelines: {p: {steps: {"
        + ",".join(f"s{n}: {{run: x, needs: [s{n + 1}]}}" for n in range(9_000))
        + ", s9000: {run: x, needs: s0}}}}",
        step("{run: x, matrix: {" + ", ".join(f"m{n}: [{', '.join(map(str, range(10)))}]" for n in range(10)) + "}}"),
        step("{run: x, matrix: {d: [" + ",".join(map(str, range(90_000))) + "]}}"),
        step("{run: x, when: '" + "(" * 50_000 + "'}"),
        step("{run: x, when: '" + "not " * 400 + "'}"),
    ],
    ids=lambda text: text[:20].replace("\n", " ") + f" {len(text)}",
)
def test_bombs_are_refused_quickly(tmp_path: Path, text: str) -> None:
    try:
        from_text(text, "podium.yaml", tmp_path, tmp_path, {})
    except ConfigError as error:
        assert len(str(error)) < 30_000


def damaged(text: str) -> st.SearchStrategy[str]:
    """The text with a few pieces cut out, doubled or overwritten."""
    tokens = st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ":",
            "- ",
            "\n",
            "\t",
            "'",
            '"',
            "*a",
            "&a ",
            "<<: ",
            "!x ",
            "${A}",
            "${{",
            "}}",
            "~",
            "\x00",
            "é",
            "|",
            ">",
            "#",
            "?",
        ]
    )
    edit = st.tuples(st.integers(0, len(text)), st.integers(0, 30), st.one_of(st.just(""), tokens, st.text(max_size=5)))

    def apply(edits: list[tuple[int, int, str]]) -> str:
        changed = text
        for at, length, piece in edits:
            changed = changed[:at] + piece + changed[at + length :]
        return changed

    return st.lists(edit, min_size=1, max_size=4).map(apply)


SETTINGS = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@SETTINGS
@given(damaged(FLIGHTS))
def test_a_damaged_file_never_ends_in_anything_but_a_podium_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "podium.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(tmp_path, environ={"GITHUB_TOKEN": "x"})
    except ConfigError as error:
        assert error.problems and all(problem.message for problem in error.problems)


@SETTINGS
@given(st.binary(max_size=300))
def test_noise_never_ends_in_anything_but_a_podium_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "podium.yaml").write_bytes(data)
    with pytest.raises(PodiumError):
        load(tmp_path, environ={})


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["${A}", "${{ params.x }}", "1h", "20%", "train"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@SETTINGS
@given(st.data())
def test_wrong_types_anywhere_never_end_in_anything_but_a_podium_error(tmp_path: Path, data: st.DataObject) -> None:
    import json

    import yaml

    document = yaml.safe_load(FLIGHTS.replace("on: {", "'on': {"))
    place = document
    while isinstance(place, dict | list) and place:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(values)
            break
        place = place[key]
    try:
        from_text(
            json.dumps(document, ensure_ascii=False, default=str),
            "podium.yaml",
            tmp_path,
            tmp_path,
            {"GITHUB_TOKEN": "x"},
        )
    except ConfigError as error:
        assert error.problems
