"""Values that reach a shell's code on a detour (a variable, a substitution, a pipe, a function, a file, another program)
are refused, and would run otherwise. Where they only pass, they are taken, and run nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from podium.core.config.expressions import check_template, placeholders, shell_command
from podium.core.config.shell.quoting import Quoting, reference
from podium.core.config.shell.scan import read
from podium.core.errors import UsageError

from tests.config.test_shell import HOSTILE, SHELLS, X, outcome

# Below, `V` is a value.
ALL, BASH, NOT_DASH = ("sh", "dash", "bash", "busybox"), ("bash",), ("bash", "busybox")

RUNS = {
    (ALL, "touch hit"): [
        # Substitutions.
        'eval "$(echo V)"', 'sh -c "$(echo V)"', "$(echo V)", "command $(echo V)", "exec $(echo V)", "if $(echo V); then echo; fi",
        'echo "$(echo V | sh)"', "x=$(cat f; echo V); eval \"$x\"", "x=$(case V in a) echo V; esac); x=V; eval \"$x\"", 'x=$(case V in a) echo b;; *) echo V;; esac); eval "$x"',
        "x=V; eval `echo $x`", "x=V; echo `eval $x`", 'x=V; echo "$(eval "$x")"', 'x=V; echo "${y:-$(eval "$x")}"',
        # Variables.
        'x=V; eval "$x"', "x=V; $x", "x=V; nice $x", "x=V; env $x", 'export x=V; eval "$x"', 'readonly x=V; sh -c "$x"', 'x=V; sh -c "$x"',
        'for i in V; do eval "$i"; done', 'for i in "$(echo V)"; do sh -c "$i"; done', 'x=V; nice -n 5 sh -c "$x"', 'x=V; : ${y:=$x}; eval "$y"',
        'x=V; if true; then eval "$x"; fi', 'case a in a) x=V;; esac; eval "$x"', "if true; then x=V; fi; $x", 'set -- V; eval "$1"', "set -- V; $1",
        'echo V | while read -r x; do eval "$x"; done', 'echo V | { x=$(cat); eval "$x"; }', 'x=V; cat <<E\n$(eval "$x")\nE',
        # Functions, and texts that another shell runs.
        'f() { eval "$1"; }; f V', "f()\n{\n  eval \"$1\"\n}\nf V", 'f() ( eval "$1" ); f V', 'if true; then f() { eval "$1"; }; fi; f V',
        'f() { "$@"; }; f sh -c V', "f() { $1; }; f V", "f() { sh; }; echo V | f", 'f() { echo "$1"; }; eval "$(f V)"', "f() { echo V; }; f | sh",
        'run() { "$@"; }; echo V | run sh', "echo V | sh $NOTHING", "x=sh; $x -c V", 'x="sh -c"; $x V', "${X:-sh} -c V", "x=sh; echo V | $x -s",
        'f() { local x=$1; eval "$x"; }; f V', 'f() { g "$1"; }; g() { eval "$1"; }; f V', 'x=V; f() { eval "$x"; }; f',
        'export x=V; sh -c \'eval "$x"\'', 'sh -c \'eval "$1"\' sh V', "sh -c '$1' sh V", "sh -c '$0' V", 'sh -c \'echo "$1" | sh\' sh V',
        'env X=V sh -c \'eval "$X"\'', 'X=V sh -c \'eval "$X"\'', "export x=V\nsh <<'E'\neval \"$x\"\nE",
        # What a shell reads.
        "echo V | sh", "echo V | bash", "echo V | bash -s", "echo V | bash -s -- a b", "echo V | sh -", "echo V | sh /dev/stdin", "echo V | . /dev/stdin",
        "echo V | env sh", "echo V | env A=1 sh", "echo V | busybox sh", "echo V | nice -n 5 sh", "echo V | timeout 5 sh", "echo V | tee log | sh",
        "{ echo V; } | sh", "(echo V) | sh", "(echo V; echo b) | sh", "if true; then echo V; fi | sh", 'for i in V; do echo "$i"; done | sh',
        "echo V | { sh; }", "echo V | (sh)", "echo V | if true; then sh; fi", "echo V | { cat | sh; }", "if echo V | sh; then echo; fi", "! echo V | sh",
        "time echo V | sh", "echo V | sh -c 'sh'", "echo V | sh -c 'cat | sh'", "x=V; sh <<E\n$x\nE", "x=V; cat <<E | sh\n$x\nE",
        # Files.
        "echo V > out.sh; sh out.sh", "echo V > out.sh; . ./out.sh", "echo V >> run.sh; chmod +x run.sh; ./run.sh", "echo V | tee out.sh; sh out.sh",
        "{ echo a; echo V; } > f; bash f", 'f=$(mktemp -p .); echo V > "$f"; sh "$f"', "echo V > f; sh < f", "echo V > f; cat f | sh",
        "x=V; cat > f <<E\n$x\nE\nsh f", "echo V > f; cp f g; sh g", "echo a > f; sed -i s/a/V/ f; sh f", "echo V > f; sort -o g f; sh g",
        # Programs that run others.
        "echo V | xargs -I{} sh -c 'eval \"$1\"' sh {}", "echo V | xargs env", "echo V | xargs nice", "find . -exec sh -c V \\;", "busybox sh -c V", "env -S V", "env --split-string=V", "env -S \"sh -c 'V'\"",
    ],
    (ALL, "$(touch hit)"): [
        'x=V; y=$x; z="a $y"; eval "$z"', "echo V | xargs -I{} sh -c 'echo {}'", "echo V | xargs -I {} sh -c 'echo {}'", 'x=V; sh -c "echo $x"',
        'x=V; bash -ec "echo $x"', 'x=V; trap "rm $x" EXIT', "env BASH_ENV=V bash run.sh", 'x=V; eval "echo ${x}"', 'x=V; eval "echo \\"$x\\""',
        "x=V; eval echo '$x' \"$x\"",
    ],
    (ALL, "a[$(>hit)]"): [
        "echo V | grep a | sed s/a/b/ | sh", "echo V | xargs sh -c", "echo V | xargs -n1 sh -c", "bash -c 'echo $(( $1 ))' sh V",
    ],
    (ALL, "5 touch hit"): ["x=V; timeout $x python train.py", "x=V; env A=$x sh run.sh", "env A=$(echo V) python train.py"],
    (ALL, "-c >hit"): ["x=V; sh $x"],
    (ALL, ". -exec touch hit ;"): ["x=V; find $x"],
    (ALL, "-Stouch hit"): ["env V", "env V train.py"],
    (ALL, "\ntouch hit\n"): ["env | sh; echo V", "env > f; . ./f; echo V"],
    (NOT_DASH, "touch hit"): [
        "source <(echo V)", 'while read x; do eval "$x"; done < <(echo V)', 'function f { eval "$1"; }; f V', 'function f() { eval "$1"; }; f V',
        "sh < <(echo V)", "sh <(echo V)", "eval &>/dev/null V", "sh -c &>/dev/null V", "exec < <(echo V); sh", "echo V | tee >(sh)", "echo V > >(sh)",
        "cat <(echo V) | sh",
    ],
    (BASH, "touch hit"): [
        ". /dev/fd/3 3<<< V", "declare x=V; eval $x", 'while read x; do eval "$x"; done <<< V', 'read x <<< V; eval "$x"', 'eval "$(cat <<< V)"',
        'mapfile -t a < <(echo V); eval "${a[0]}"', 'a=(V); eval "${a[0]}"', "echo V |& sh", 'x=V; sh <<< "$x"', 'x=$(cat <<< V); eval "$x"',
        'f() { "${@:2}"; }; f a eval V', 'a=(eval V); "${a[@]}"', 'x+=V; eval "$x"', 'printf -v y %s V; eval "$y"',
    ],
    (BASH, "a[$(>hit)]"): [
        "x=V; echo ${!x}", "f() { echo $(( $1 )); }; f V", "x=$(echo V); echo $(( x + 1 ))", "x=$(echo V); [[ $x -eq 1 ]]", "[[ $(echo V) -eq 1 ]]",
    ],
    (BASH, "$(touch hit)"): ['x=V; echo "${x@P}"'],
    (BASH, "-v a[$(>hit)]"): ["[ $(echo V) = a ]", "x=V; [ $x = a ]", "x=V; test $x"],
    (BASH, "-va[$(>hit)]"): ["printf V a", 'x=V; printf "$x" a'],
}  # fmt: skip
"""What would make the file `hit` if it were not refused: in these shells, with this value."""

# The same of what is not on every machine, or is no place to try it.
REFUSED = [
    *(f"{shell} -c V" for shell in ("rbash", "ash", "zsh", "ksh", "mksh", "pdksh", "lksh", "oksh", "yash", "hush", "posh")),
    *(f"{shell} -c V" for shell in ("fish", "csh", "tcsh", "bash-5.2", "ksh93", "nu")),
    "pwsh -Command V", "fish --command=V", "php -r V", "bun -e V", '"$(echo V)" V', ". V", ". -- V", "source V.sh", 'source "$(echo V)"',
    *(f"{program} sh -c V" for program in (
        "stdbuf -oL", "nice -n 5", "timeout -k 5 5", "nohup", "setsid -w", "xargs", "ionice -c 2", "chrt 5", "taskset -c 0", "flock f", "unshare -r", "doas",
        "sudo -u bob", "runuser -u bob --", "screen -dm", "docker run i", "kubectl exec p --", "uv run", "chroot d", "script -c", "su bob -c", "watch",
    )),
    *(f"{program} ssh h V" for program in (
        "stdbuf -oL", "nice", "nice -n 5", "timeout 5", "timeout -k 5 5", "env A=1", "env -i", "env -u A", "sudo -u bob", "sudo -nu bob", "sudo --user bob",
        "xargs", "nohup", "setsid -w", "ionice -c2 -n0", "chrt -f 10", "taskset -c 0-3", "unshare -r", "flock f", "$RUN", "timeout 5 nice", "nice $ARGS",
    )),
    "ssh -n h V", "ssh -o ProxyCommand=V h", "ssh -o 'ProxyCommand nc V' h", 'x=V; ssh h "$x"', "x=V; ssh h ls $x", "x=V; ssh $x", "ssh h <<< V",
    "x=V; ssh h <<E\nls $x\nE", "x=V; ssh h <<'E'\neval \"$x\"\nE",
    'SSH="ssh -p 22 h"; $SSH V', "PY=python3; $PY -c V", "${PY:-python3} -c V", "echo V | $SHELL", "eval V | case a in a) ;; esac", "x=V; ((eval \"$x\"))",
    "su -c V", "su bob -c V", "runuser bob -c V", "sudo su -c V", "script -c V", "script -qc V /dev/null", "flock f -c V", "sg g -c V",
    "watch V", "watch -n 5 V", "parallel V", "tmux new-session -d V", "tmux new -s V", "tmux send-keys -t a V Enter", "screen -X stuff V",
    "screen -S a -X stuff V", "env -S 'echo' V", "find . -exec V V \\;",
    *(f"echo V | {program}" for program in (
        "sudo sh", "sudo -u bob bash", "ssh h", "ssh -p 22 h", "ssh h sh", "ssh h sudo bash -s", "docker exec -i c sh", "kubectl exec -i p -- bash", "python",
        "python3 -", "perl", "xargs python", "parallel", "at now", "crontab -", "su bob", "find . -exec sh \\;", "rbash", "csh", "xargs -I{} ssh h {}",
    )),
    "x=V; uv run $x", "x=V; kubectl exec p -- $x", "setsid --wait ssh h V", "flock --wait 5 f ssh h V", "echo V | { read PS4; set -x; echo; }",
    "x=V; sbatch <<E\npython $x\nE", "sbatch --wrap V", 'sbatch --wrap="a V"', "bsub V", "echo V | sudo -s", "echo V | unshare -r",
    "curl -o f V; sh f", "python gen.py -o run.sh --x V; sh run.sh", "curl V | sh", "cat V | bash", 'x="$(python gen.py V)"; sh -c "$x"', "GIT_SSH_COMMAND=V git fetch", "export GIT_SSH_COMMAND='ssh -i V'",
    "x=V; python $x", "x=V; python $x train.py", 'x=V; python -c "$x"', 'x=V; python3 -c "print($x)"', "x=V; python <<E\n$x\nE",
    'local x=V; eval "$x"', 'a=(V V); "${a[@]}"', 'f() { "$@"; }; f V V', "sh -c '\"$@\"' sh V V", 'select i in V; do eval "$i"; done', "coproc eval V",
    'getopts a: o V; eval "$OPTARG"', 'while getopts a: o; do eval "$OPTARG"; done; set -- V', "case V in a) echo V | sh;; esac", "x=`echo V | sh`",
    "sudo printenv > f; . ./f; echo V", 'eval "$(cd V && pwd)"', 'cd V; eval "$PWD"',
]  # fmt: skip

# What is taken, and run with hostile values.
PASSES = [
    'echo "$(echo V)"', "echo $(echo V)", 'x=$(date) ; echo V', "cat f | grep V", 'x=V; echo "$x"', "x=V; echo $x", "echo V > out.sh", "echo V > f; cat f",
    'echo "$(basename -- V)"', 'x=$(basename -- V); mkdir -p "out/$x"', 'eval "$(echo :)"; echo V', "echo : | sh; echo V", "echo : | sh -s V", "echo : | sh -s -- V V",
    "echo : > f; . ./f V", "n=$(cat V | wc -l); [ $n -gt 10 ] || echo", "if [ V = a ]; then echo : | sh; fi", 'if [ "$(echo V)" = a ]; then echo; fi',
    "case V in a) echo b;; bash|sh) echo c;; esac", "case V in bash) echo b;; sh) echo c;; esac", 'x=$(case V in a) echo :;; *) echo :;; esac); eval "$x"',
    "for i in V a; do echo $i; done", 'echo V | while read -r x; do echo "$x"; done', "echo V | while read -r x; do case $x in sh) echo;; bash) echo;; esac; done",
    "echo V | sh -c 'cat'", "echo V | cat", "echo V | grep bash", "echo V | grep -c sh", "echo V | sed s/sh/bash/ | sort", "echo V | xargs -I{} echo {}",
    "sh -c 'echo \"$1\"' sh V", "sh -c 'echo \"$@\"' sh V", "sh -c 'exec \"$@\"' sh echo V", 'bash -ec \'x=$1; echo "$x"\' bash V',
    "timeout V echo V", "nice -n V echo V", 'nice echo "$(echo V)"', "nice echo $(echo V)", "env A=V echo V", "env A=1 echo V", "env -u A echo V",
    'run() { echo "+ $*"; "$@"; }; run echo --x V', 'run() { echo "+ $*" >&2; "$@"; }\nrun echo V\nrun mkdir -p out V', 'f() { n=$1; shift; "$@"; }; f 3 echo --x V',
    'run() { "$@"; }; echo V | run cat', 'x="echo -n"; $x V', "${X:-echo} V", 'a=(echo --x V); "${a[@]}"', 'a=(echo); a+=(--x V); "${a[@]}"', 'f() { echo "$1"; }; f V', 'f() { x=$1; echo "$x"; }; f V', 'set -- --x V; echo "$@"', 'set -- echo; set -- "$@" --x V; "$@"', "f() { cat; }; echo V | f",
    'x=V; [ "$x" = a ] || echo', 'x=V; test -n "$x"', 'x=V; echo ${A:-b}; echo "$x"', 'x=V; echo "${x:-b}" "${x#a}" "${x%.*}" "${#x}"', "x=V; cat <<E\n$x\nE",
    "sh <<E\n:\nE\necho V", "sh <<'E'\n:\nE\necho V", "trap 'echo \"$x\"' EXIT; x=V", "x=V; eval 'echo \"$x\"'", "x=V; export x; sh -c 'echo \"$x\"'",
    "printf '%s' V", "printf -- V", "{ echo V; } > f", "(cd V && echo)", "( echo V ) 2>&1 | cat", 'cd "$(dirname -- V)" && echo', "(cd V; echo :) | sh",
    'x="echo a"; $x V', 'x="echo a"; $x --x "$(echo V)"', "echo V | tee log", "echo V 2>&1 && sh -c :", "test -f V || sh -c :", "echo V; sh", "echo V & wait $!",
    'i=1; while [ "$i" -le 3 ]; do i=$((i+1)); echo V; done', "x=`date`; echo V", "cat <<E\n$(date)\nE\necho V", "time echo V", "! echo V", "exec echo V", "exec echo $(echo V)",
    "echo : > run.sh; sh run.sh V", "echo : > run.sh; sh -x run.sh $(echo V)", 'echo : > run.sh; x=V; sh run.sh "$x"', "env | cat; echo V", "find . -name V", 'find . -name "$(echo V)"',
]  # fmt: skip

TAKEN = [
    'python train.py --x "$(echo V)"', "python train.py --x $(echo V)", 'x=V; python train.py "$x"', "x=V; python train.py $x", "echo V | python train.py",
    "echo V | python -m json.tool", "echo V | python -c 'import sys; print(sys.stdin.read())'", "echo V | bash run.sh a", "echo V | ssh host 'cat > f'",
    "echo V | sudo tee /etc/x", "echo V | docker exec -i c cat", "echo V | sudo -u bob python train.py", "echo V | xargs -n1 python train.py",
    "echo V | xargs -I{} python train.py --x {}", "echo V | xargs rm -f", "xargs -n V python train.py", "source venv/bin/activate; python train.py V",
    'eval "$(conda shell.bash hook)"; conda activate V', "curl https://x/install.sh | bash -s -- V", "taskset -c V python train.py V", "flock V python train.py V",
    "flock /tmp/l python train.py $(echo V)", "sudo -u V python train.py V", "stdbuf -oL python train.py V", "setsid nohup python train.py V > log 2>&1 &",
    "python train.py V &> log.txt; echo V", "python - V <<'E'\nimport sys\nE", "python3 - V V <<'E'\nimport sys\nE", "a=(--x V); python train.py \"${a[@]}\"",
    'declare -a a=(--x V); python train.py "${a[@]}"', "docker run img python train.py V", 'docker run -e X=V img sh -c \'echo "$X"\'', "uv run python train.py V",
    'poetry run python train.py "$(echo V)"', "screen -dmS V python train.py", "tmux kill-server; echo V", "sudo apt install tmux V", "ssh -- V ls",
    'x=V; diff <(echo "$x") b', "python train.py --cfg <(echo V)", "echo V > params.txt; python train.py params.txt", 'echo "X=V" >> .env; python train.py',
    "bash -- run.sh V V", "x=V; python train.py <<< \"$x\"", "bash run.sh <<< V", "ssh -p V h ls", "ssh -i V -l V h ls", "uv run python train.py $(echo V)", "wc -l < V", "while read -r x; do python train.py \"$x\"; done <<< V", "env | grep A; python train.py V", "PY='python3 -u'; $PY train.py V", "${PY:-python3} train.py V", "for ((i=0; i<3; i++)); do python train.py V; done",
    "shellcheck V; echo sh", "case V in sh|bash) python train.py;; esac", 'x=$(jq -r .a V); echo "$x"', "make train X=V",
]  # fmt: skip


def filled(template: str) -> str:
    return re.sub(r"\bV\b", X.replace("\\", r"\\"), template)


def unjudged(template: str) -> str:
    """Returns the command as it would be run if nothing that keeps its quotes were refused; `$HELD` has the value."""
    text, at, script = filled(template), 0, ""
    spans = placeholders(text)
    _, places = read(text, {span.start: span.end for span in spans})
    for span in spans:
        assert places[span.start] in (Quoting.BARE, Quoting.DOUBLE, Quoting.SINGLE)
        script += text[at : span.start] + reference("HELD", places[span.start])
        at = span.end
    return script + text[at:]


EACH = [(template, value, shells) for (shells, value), templates in RUNS.items() for template in templates]


@pytest.mark.parametrize("template", [*(template for template, _, _ in EACH), *REFUSED])
def test_a_value_that_reaches_code_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="nothing keeps a value a value") as caught:
        check_template(filled(template), command=True)
    assert "env:" in caught.value.hint


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_refused_would_run_the_value(shell: str) -> None:
    for template, value, shells in EACH:
        if shell in shells:
            with TemporaryDirectory() as directory:
                outcome(shell, unjudged(template), {"HELD": value}, Path(directory))
                assert (Path(directory) / "hit").exists(), (template, value)


@pytest.mark.parametrize("template", [*PASSES, *TAKEN])
def test_a_value_that_only_passes_is_taken(template: str) -> None:
    assert set(shell_command(filled(template), {"params": {"x": "1"}}).variables.values()) == {"1"}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_taken_runs_no_value(shell: str) -> None:
    for number, template in enumerate(PASSES):
        for value in ("touch hit", "$(touch hit)", HOSTILE[number % len(HOSTILE)]):
            command = shell_command(filled(template), {"params": {"x": value}})
            with TemporaryDirectory() as directory:
                outcome(shell, command.script, dict(command.variables), Path(directory))
                assert not (Path(directory) / "hit").exists(), (template, value)


def test_more_shells_than_are_read_are_refused() -> None:
    assert shell_command(filled("sh -c 'echo \"$1\"' sh V; " * 20), {"params": {"x": "1"}}).variables
    with pytest.raises(UsageError, match="in different ways"):
        check_template(filled("sh -c 'echo \"$1\"' sh V; " * 300), command=True)


def test_what_to_do_instead_is_told() -> None:
    with pytest.raises(UsageError, match="in line 1 of the text") as caught:
        check_template('x=${{ params.x }}\neval "$x"\n', command=True)
    assert "takes for code later" in caught.value.message
    assert "in double quotes" in caught.value.hint
    assert "sh -c 'echo \"$X\"'" in caught.value.hint
