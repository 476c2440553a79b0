"""Values in commands stay values: in real shells, hostile ones, in every place that is not refused."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from podium.core.config.expressions import check_template, placeholders, render, shell_command
from podium.core.errors import UsageError

from tests.runner.scale import scaled
from tests.runner.turns import examples

SHELLS = {"sh": ("sh",), "bash": ("bash",), "dash": ("dash",), "busybox": ("busybox", "sh")}
X = "${{ params.x }}"

NASTY = [
    "", " ", "a b", "'", '"', "''", '"\'"', "\\", "\\'", '\\"', "$HOME", "$(echo hit)", "`echo hit`", "${HOME}",
    "; echo hit", "&& echo hit", "| cat", "> /x",
    "\n", "a\nb", "\n\n", "# no", "~", "*", "{a,b}", "!!", "-n", "--", "%s", "a=b", "if", "\t", "é ü 漢", "$", "a$",
    "\r", "EOF", "((", "))", "'; echo hit; '", '"; echo hit; "',
]  # fmt: skip

# A command around the placeholder, and the word that the program has to get.
AROUND = {
    "printf '<%s>' ${{ params.x }}": "<{}>",
    "printf '<%s>' a${{ params.x }}b": "<a{}b>",
    "printf '<%s>' --x=${{params.x}}": "<--x={}>",
    'printf "<%s>" "${{ params.x }}"': "<{}>",
    'printf "<%s>" "a ${{ params.x }} b"': "<a {} b>",
    "printf '<%s>' 'a ${{ params.x }} b'": "<a {} b>",
    "printf '<%s>' 'a'\"b\"${{ params.x }}'c'": "<ab{}c>",
    'printf \'<%s>\' "it\'s" "${{ params.x }}"': "<it's><{}>",
    "printf '<%s>' \"\\\"\" '\\' ${{ params.x }}": '<"><\\><{}>',
    "V=${{ params.x }}; printf '<%s>' \"$V\"": "<{}>",
    "printf '<%s>' \"$(printf '%s.' ${{ params.x }})\"": "<{}.>",
    "printf '<%s>' \"$(printf '%s.' \"${{ params.x }}\")\"": "<{}.>",
    "printf '<%s>' \"a$(printf '%s.' '${{ params.x }}')b\" ${{ params.x }}": "<a{}.b><{}>",
    "(printf '<%s>' ${{ params.x }})": "<{}>",
    "# a comment with ${{ params.x }} in it's place\nprintf '<%s>' ${{ params.x }}": "<{}>",
    "cat <<'EOF' >/dev/null\nit's \"$(\nEOF\nprintf '<%s>' ${{ params.x }}": "<{}>",
    "cat <<-E >/dev/null\n\tit's\n\tE\nprintf '<%s>' '${{ params.x }}'": "<{}>",
    "printf '<%s>' `printf '(' ` ${{ params.x }}": "<(><{}>",
    "printf '<%s>' $((1 + (2))) ${{ params.x }}": "<3><{}>",
    "printf '<%s>' ${NOTHING:-'a'} \"${{ params.x }}\"": "<a><{}>",
    "printf '<%s>' a#b\"#\"${{ params.x }}": "<a#b#{}>",
    "case ${{ params.x }} in x) ;; esac; printf '<%s>' \"${{ params.x }}\"": "<{}>",
    "printf '<%s>' \\\n ${{ params.x }}": "<{}>",
    # Where a `#` is none of a comment's.
    "printf '<%s>' $(printf y)#${{ params.x }}": "<y#{}>",
    "printf '<%s>' \\ #${{ params.x }}": "< #{}>",
    "printf '<%s>' \\;#${{ params.x }}": "<;#{}>",
    "printf '<%s>' a\\\n#${{ params.x }}": "<a#{}>",
    "printf '<%s>' `printf y`#\"${{ params.x }}\"": "<y#{}>",
    "printf '<%s>' ${NOTHING:-y}#'a ${{ params.x }}'": "<y#a {}>",
    "printf '<%s>' y#${{ params.x }}# # it's ${{ params.x }}": "<y#{}#>",
    "(printf '<%s>' \"$(printf y)\"#${{ params.x }})# it's ${{ params.x }}": "<y#{}>",
    "printf '<%s>' \"$(printf y # it's )\"\n)\" ${{ params.x }}": "<y><{}>",
}


def present(shell: str) -> tuple[str, ...]:
    if shutil.which(SHELLS[shell][0]) is None:
        if os.environ.get("PODIUM_REQUIRE_SERVERS"):
            pytest.fail(f"{shell} is not installed")
        pytest.skip(f"{shell} is not installed")
    return SHELLS[shell]


def outcome(shell: str, script: str, variables: dict[str, str], directory: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*present(shell), "-c", script],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=scaled(20),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **variables},
        cwd=directory,
    )


def output(shell: str, pairs: list[tuple[str, str]], directory: Path) -> list[str]:
    """Returns what each template writes with its value, in one shell: each command is a subshell of its own, so that
    one that went wrong shows as a difference."""
    between = secrets.token_hex(8)  # which no value contains
    script, variables = "", dict[str, str]()
    for index, (template, value) in enumerate(pairs):
        command = shell_command(template, {"params": {"x": value}})
        text = command.script
        for name, held in command.variables.items():
            assert held == value
            variables[f"{name}_{index}"] = held
            text = text.replace(name, f"{name}_{index}")
        script += f"(\n{text}\n)\nprintf {between}\n"
    done = outcome(shell, script, variables, directory)
    assert done.returncode == 0, (script, done.stderr)
    assert not done.stderr, (script, done.stderr)
    return done.stdout.decode("utf-8", "surrogateescape").split(between)[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_nasty_value_arrives_as_itself_in_every_place(shell: str, tmp_path: Path) -> None:
    pairs = [(template, value) for template in AROUND for value in NASTY]
    assert output(shell, pairs, tmp_path) == [AROUND[template].replace("{}", value) for template, value in pairs]


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20) | st.text(
    "'\"\\$`(){};#\n ab", max_size=12
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(sorted(AROUND)), values), min_size=20, max_size=30))
@example([("printf '<%s>' 'a ${{ params.x }} b'", "'; echo hit; '")])
@example([("printf '<%s>' 'a ${{ params.x }} b'", "\1\2")])
@pytest.mark.parametrize("shell", SHELLS)
def test_any_value_arrives_as_itself(shell: str, tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    assert output(shell, pairs, tmp_path) == [AROUND[template].replace("{}", value) for template, value in pairs]


# What a value would be as code, in any quotes, as a number, as a subscript, as an option.
HOSTILE = [
    "$(touch hit)", "`touch hit`", "'$(touch hit)'", "\"; touch hit; \"", "'; touch hit; '", "a[$(touch hit)]", "touch hit",
    "}; touch hit; #", "))\ntouch hit\n((", "x\nE\ntouch hit\n", "x\nE\nF\ntouch hit\n", "-c", "eval", "-v", "a[$(touch hit)]=1",
    "([$(touch hit)]=1)", "x'$(touch hit)'", "1]; touch hit; [", "\\$(touch hit)", "\\", "'", "\"",
    "sh", "touch hit;", "; touch hit; #", ">hit", "-c >hit", "-v a[$(>hit)]", "-va[$(>hit)]", "-Stouch hit", "5 touch hit",
]  # fmt: skip
PIECES = [
    X, X, X, '"', '"', "'", "'", "$(", ")", "(", "$((", "((", "))", "$[", "]", "{ ", "; }", "}", "${A:-", "${#", "`", "\\", "\\\n", "$", "#",
    "\n", "\n", ";", " ", " ", " ", "&& ", "| ", "<<E\n", "<<-E ", "<<'E\nF'\n", '<<"E\nF"\n', "<<\\E\n", "E\n", "E\nF\n", "<<< ", "<", "<(", "cat ",
    "echo ", "printf %s ", ": ", "x=", "x=(", "[", "eval ", "let ", "trap ", "alias y=", "declare -i x=", "declare -a x=", "declare ", "export ",
    "readonly x=", "[[ ", " -eq 1 ]] ", " == 1 ]] ", "[ -v ", "test ", " ]", "case x in x) ", ";; esac ", "if ", "; then ", "; fi ", "for i in ",
    "; do ", "; done ", "f() { ", "function f { ", "sh -c ", "bash -ec ", "sh ", "$'", '$"', "\\'", "-c ", "-v ", "RANDOM=", "PS4=", "set -x;", "read x ",
    "x", "E", "! ", "command ", "unset ", "a[", "]=1 ", "\t", "=", "in ",
    # What values go through.
    "$x", '"$x"', " $x ", ' "$x" ', "${x} ", '"${x}"', "$1", '"$1" ', '"$@" ', "$@ ", '"${a[@]}" ', "set -- ", "x=$x ", "y=$x; ", "$y ", 'eval "$x" ', "eval $x ", "`eval $x`",
    "`echo $x` ", "$(echo ", '"$(echo ', ')" ', " | sh ", " | sh\n", " | bash -s ", " | (sh) ", " | { sh; } ", " |& sh ", "| cat ", "cat | ", "$(cat) ", "; }", " done", " fi ", "{ ",
    "while read x; do ", "for x in ", "read x ", " <<< ", " < <(", " >(sh) ", ". ", "source ", "env ", "env -S ", "nice ", "timeout 5 ", "xargs ", "xargs -I{} ", "{} ", "exec ",
    "busybox ", "find . -exec ", " \\;", "sh -c '$1' sh ", "sh -c 'eval \"$1\"' sh ", "f ", " &>x ", "sh <<E\n$x\nE\n", "<<E\n$x\nE\n", "printf ", "[ ", "$(( x ))", "${!x} ", "${x@P} ",
]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=2, max_size=9), min_size=25, max_size=25), st.data())
def test_no_value_runs_in_any_command(
    shell: str, tmp_path: Path, written: list[list[str]], data: st.DataObject
) -> None:
    """Commands of pieces in any order; most are refused, and many of the rest are no shell. What a value would do as
    code is to make the file `hit`."""
    del tmp_path  # a directory for each example, in which nothing writes
    chosen: list[tuple[str, str]] = []
    for pieces in written:
        template = "".join(pieces)
        if X in template:
            with suppress(UsageError):
                check_template(template, command=True)
                chosen.append((template, data.draw(st.sampled_from(HOSTILE))))
    with TemporaryDirectory() as directory:
        for template, value in chosen:
            command = shell_command(template, {"params": {"x": value}})
            outcome(shell, command.script, dict(command.variables), Path(directory))
            assert not (Path(directory) / "hit").exists(), (template, value, command.script)


REFUSED = [
    "echo `echo ${{ params.x }}`",
    'echo "`echo ${{ params.x }}`"',
    "echo ${A:-${{ params.x }}}",
    'echo "${A:-${{ params.x }}}"',
    "echo $((1 + ${{ params.x }}))",
    "echo \\${{ params.x }}",
    'echo "\\${{ params.x }}"',
    "echo $${{ params.x }}",
    "cat <<EOF\n${{ params.x }}\nEOF",
    "cat <<'EOF'\nx ${{ params.x }}\nEOF",
    "cat <<${{ params.x }}\nx\n",
    "echo $'it\\'s' ${{ params.x }}",
    'echo "$(case a in a) echo;; esac; echo ${{ params.x }})"',
    # A here-document whose word has two lines, or is none in some shells.
    "cat <<'EO\nF'\n${{ params.x }}\nEO\nF\n",
    "cat <<'EO\nF'\nEO\nF\necho ${{ params.x }}",
    "cat <<$(x)\n$(x)\necho ${{ params.x }}",
    'cat <<E "a\nb"\nE\necho ${{ params.x }}',
    "cat <\\\n<E\n${{ params.x }}\nE\n",
    "cat <<E\nx\\\nE\nE\necho ${{ params.x }}",
    # What shells end at different places.
    "echo \"${x:-'a}'}\" ${{ params.x }}",
    "echo $((1 + '2')) ${{ params.x }}",
    "${A:-eval x} sh -c ${{ params.x }}",
    "echo $\\\n(( ${{ params.x }} ))",
    # Arithmetic of bash, and what it computes with.
    "echo $[ ${{ params.x }} ]",
    "let x=${{ params.x }}",
    "[[ ${{ params.x }} -gt 1 ]]",
    "[[ a == b && ${{ params.x }} -gt 1 ]]",
    "if [[ a == b ||\n1 -eq ${{ params.x }} ]]; then echo; fi",
    "[[ -v ${{ params.x }} ]]",
    "test -v ${{ params.x }}",
    "[ ${{ params.x }} ${{ params.x }} ]",
    "declare -i x=${{ params.x }}",
    "typeset -i x; x=${{ params.x }}",
    "x=${{ params.x }}; echo $((x + 1))",
    "a[${{ params.x }}]=1",
    "a=([${{ params.x }}]=1)",
    "declare -a a=${{ params.x }}",
    "export ${{ params.x }}=1",
    "RANDOM=${{ params.x }}",
    "printf -v ${{ params.x }} a",
    "read ${{ params.x }}",
    "unset ${{ params.x }}",
    "echo >&${{ params.x }}",
    # What takes a text for code.
    "eval ${{ params.x }}",
    "eval \"echo '${{ params.x }}'\"",
    "command eval echo ${{ params.x }}",
    "A=1 eval ${{ params.x }}",
    "if true; then eval ${{ params.x }}; fi",
    "f() { eval ${{ params.x }}; }; f",
    "case a in a) eval ${{ params.x }};; esac",
    "echo [[; eval ${{ params.x }}",
    "if [[ a; then eval ${{ params.x }}; fi",
    ">/dev/null 2>&1 eval ${{ params.x }}",
    "trap ${{ params.x }} EXIT",
    "alias x=${{ params.x }}",
    "PS4=${{ params.x }}; set -x; echo",
    "sh -c 'echo ${{ params.x }}'",
    'bash -o pipefail -ec "echo ${{ params.x }}"',
    "env A=1 timeout 5 /bin/bash -lc 'echo ${{ params.x }}'",
    "find . -exec sh -c 'echo ${{ params.x }}' \\;",
    "busybox sh -c ${{ params.x }}",
    "sh ${{ params.x }} ${{ params.x }}",
    "sh <<< ${{ params.x }}",
    "${{ params.x }} ${{ params.x }}",
    "python3 -c 'print(${{ params.x }})'",
    "python ${{ params.x }}",
    "perl -ne 'print ${{ params.x }}'",
    "node --eval=${{ params.x }}",
    "ssh -p 22 host ls ${{ params.x }}",
]


@pytest.mark.parametrize("template", REFUSED)
def test_where_a_value_would_not_stay_one_it_is_refused(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        shell_command(template, {"params": {"x": "1"}})
    assert "env:" in caught.value.hint
    assert "1" in render(template, {"params": {"x": "1"}})


TAKEN = [
    "sh -c 'echo \"$1\"' sh ${{ params.x }}",
    "sh -e run.sh ${{ params.x }}",
    "python -u train.py -c ${{ params.x }}",
    "python -m tool --mode eval ${{ params.x }}",
    "ssh ${{ params.x }} ls",
    "export X=${{ params.x }}",
    "[ ${{ params.x }} = a ] && echo ${{ params.x }}",
    "cat <<E\nit's $(\nE\necho ${{ params.x }} > ${{ params.x }}",
    "echo let ${{ params.x }}",
]


@pytest.mark.parametrize("template", TAKEN)
def test_an_argument_is_no_code(template: str) -> None:
    assert shell_command(template, {"params": {"x": "1"}}).variables == {"PODIUM_VALUE_1": "1"}


def test_what_is_shown_has_the_values_and_what_is_run_has_none() -> None:
    command = shell_command(f'a --x {X} "b ${{{{ params.y }}}}" {X}', {"params": {"x": "it's", "y": "2"}})
    assert command.shown == "a --x 'it'\"'\"'s' \"b \"'2'\"\" 'it'\"'\"'s'"
    assert command.script == 'a --x "${PODIUM_VALUE_1}" "b ""${PODIUM_VALUE_2}""" "${PODIUM_VALUE_1}"'
    assert command.variables == {"PODIUM_VALUE_1": "it's", "PODIUM_VALUE_2": "2"}


def test_the_line_of_a_value_is_told() -> None:
    with pytest.raises(UsageError, match="in line 2 of the text"):
        check_template("echo\neval ${{ params.x }}\n", command=True)
    with pytest.raises(UsageError, match="in line 3 of the text"):
        placeholders("echo\n\n${{ params.x\n")


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="NUL"):
        shell_command("${{ params.x }}", {"params": {"x": "a\0b"}})
