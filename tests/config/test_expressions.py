"""Values in commands stay values; `when:` means what it says."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from podium.core.config.expressions import evaluate_when, looks_at_outcome, placeholders, render, when_names
from podium.core.errors import PodiumError, UsageError

from tests.runner.scale import scaled

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


def output(shell: str, command: str) -> str:
    done = subprocess.run(
        [shell, "-c", command],
        capture_output=True,
        timeout=scaled(10),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
    )
    assert done.returncode == 0, (command, done.stderr)
    assert not done.stderr, (command, done.stderr)
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("template", AROUND)
def test_every_nasty_value_arrives_as_itself_in_every_place(shell: str, template: str) -> None:
    """One shell for all values of a place: each command is a subshell of its own, so that one that went wrong shows
    as a difference."""
    script = "\n".join(
        f"(\n{render(template, {'params': {'x': value}}, quote=True)}\n)\nprintf '\\001'" for value in NASTY
    )
    assert output(shell, script).split("\x01")[:-1] == [AROUND[template].replace("{}", value) for value in NASTY]


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20) | st.text(
    "'\"\\$`(){};#\n ab", max_size=12
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(AROUND)), values), min_size=8, max_size=12))
@example([("printf '<%s>' '${{ params.x }}'".replace("'${{", "'a ${{").replace("}}'", "}} b'"), "'; echo hit; '")])
def test_any_value_arrives_as_itself(pairs: list[tuple[str, str]]) -> None:
    script = "\n".join(
        f"(\n{render(template, {'params': {'x': value}}, quote=True)}\n)\nprintf '\\001\\002'"
        for template, value in pairs
    )
    assert output("sh", script) == "".join(
        f"{AROUND[template].replace('{}', value)}\x01\x02" for template, value in pairs
    )


@pytest.mark.parametrize(
    "template",
    [
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
    ],
)
def test_where_no_quoting_holds_it_is_refused(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(template, {"params": {"x": "1"}}, quote=True)
    assert "env:" in caught.value.hint
    assert "1" in render(template, {"params": {"x": "1"}}, quote=False)


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="NUL"):
        render("${{ params.x }}", {"params": {"x": "a\0b"}}, quote=True)


def test_render_without_quotes() -> None:
    values = {"params": {"x": "a b"}, "matrix": {"depth": 8, "rate": 0.05, "flag": True}}
    assert (
        render(
            "m-${{matrix.depth}}/${{ matrix.rate }}-${{ matrix.flag }} ${{  params.x  }} ${HOME}", values, quote=False
        )
        == "m-8/0.05-true a b ${HOME}"
    )


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(UsageError) as caught:
        render("${{ params.dpth }}", {"params": {"depth": 1}}, quote=False)
    assert "params.depth" in caught.value.hint
    for bad in ("${{ }}", "${{ a }}", "${{ a.b.c }}", "${{ a.b", "${{ 'x' }}"):
        with pytest.raises(UsageError):
            placeholders(bad)


CONTEXT = {
    "params": {"x": "y", "fast": "false", "n": "4"},
    "matrix": {"depth": 4, "flag": True},
    "run": {"trigger": "push", "branch": "main"},
    "needs": {"train.state": "failed", "a.b.state": "succeeded"},
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("params.x == 'y'", True),
        ('params.x != "y"', False),
        ("params.n == 4 and matrix.depth == '4'", True),
        ("matrix.depth == 8 or trigger == 'push'", True),
        ("not matrix.depth == 8", True),
        ("not not params.fast", False),
        ("params.x", True),
        ("matrix.flag", True),
        ("matrix.flag == true", True),
        ("branch == 'main' and (trigger == 'schedule' or needs.train.state == 'failed')", True),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("needs.a.b.state == 'succeeded'", True),
        ("always()", True),
        ("failed()", True),
        ("not failed()", False),
        ("'and' == \"and\"", True),
    ],
)
def test_when(expression: str, expected: bool) -> None:
    assert evaluate_when(expression, CONTEXT) is expected


def test_failed_is_about_the_needs() -> None:
    assert not evaluate_when("failed()", {"needs": {"a.state": "succeeded"}})
    assert not evaluate_when("failed()", {})


@pytest.mark.parametrize(
    "expression",
    [
        "params.x ==",
        "== 'a'",
        "params.x = 'y'",
        "a b",
        "(true",
        "true)",
        "'open",
        "a && b",
        "f()",
        "always(",
        "${{ params.x }}",
        "and",
        "1 2",
        "a..b",
    ],
)
def test_what_is_no_expression_says_where(expression: str) -> None:
    with pytest.raises(UsageError):
        evaluate_when(expression, CONTEXT)


def test_names_and_outcomes() -> None:
    assert when_names("params.x == 'y' and not (branch == 'x' or params.x)") == ["params.x", "branch"]
    assert [
        looks_at_outcome(text)
        for text in ("", "params.x", "always()", "failed() or params.x", "needs.a.state == 'failed'")
    ] == [
        False,
        False,
        True,
        True,
        True,
    ]
    with pytest.raises(UsageError):
        evaluate_when("params.nope == 'y'", CONTEXT)


@settings(max_examples=300, deadline=None)
@given(st.text("params.x =!'\"()andortue0-${}&", max_size=40) | st.text(max_size=20))
def test_noise_is_a_podium_error_or_an_answer(text: str) -> None:
    for attempt in (
        lambda: evaluate_when(text, CONTEXT),
        lambda: render(text, CONTEXT, quote=True),
        lambda: render(text + "${{ params.x }}", CONTEXT, quote=True),
    ):
        with suppress(PodiumError):
            attempt()
