"""Parser and evaluator of `when:` expressions.

    or    := and ("or" and)*          operand := 'text' | "text" | number | true | false | name
    and   := not ("and" not)*         name    := params.x | matrix.x | needs.step.state | trigger | branch
    not   := "not" not | test         test    := "(" or ")" | always() | failed() | operand (("==" | "!=") operand)?

Values are compared as the texts they are written as. A value alone holds unless it is empty, `false` or `0`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..domain.frozen import Frozen
from ..domain.project import Scalar
from ..errors import UsageError

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_-]*)*)"
    r"|(?P<sign>==|!=|\(|\)))",
    re.ASCII,
)
_MAX_LENGTH = 2000
_MAX_DEPTH = 30
BARE = ("trigger", "branch")
FUNCTIONS = ("always", "failed")
FALSE = ("", "false", "0")


class Term(Frozen):
    """`kind` is or, and, not, equal, unequal, truth, value, name, always or failed."""

    kind: str
    text: str = ""
    parts: tuple[Term, ...] = ()


@dataclass(slots=True)
class Parsed:
    root: Term
    names: dict[str, None] = field(default_factory=dict[str, None])
    functions: set[str] = field(default_factory=set[str])


def parse(expression: str) -> Parsed:
    """Parses an expression. Raises UsageError, with the column, if it is not one."""
    if "${{" in expression:
        raise UsageError("`when:` is an expression already", hint="leave ${{ and }} out")
    if len(expression) > _MAX_LENGTH:
        raise UsageError(f"the expression is longer than {_MAX_LENGTH} characters")
    return _Parser(expression, _tokens(expression)).parse()


def _tokens(expression: str) -> list[tuple[str, str, int]]:
    tokens: list[tuple[str, str, int]] = []
    position = 0
    while expression[position:].strip():
        match = _TOKEN.match(expression, position)
        if match is None or match.lastgroup is None:
            column = position + len(expression[position:]) - len(expression[position:].lstrip()) + 1
            hints = {"&": "write `and`", "|": "write `or`", "!": "write `not`", "=": "write `==`"}
            char = expression[column - 1]
            hint = hints.get(char, "a quote is not closed" if char in "'\"" else "")
            raise UsageError(f"`{char}` at column {column} does not belong in an expression", hint=hint)
        tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, expression: str, tokens: list[tuple[str, str, int]]) -> None:
        self.tokens = [*tokens, ("end", "", len(expression) + 1)]
        self.at = 0
        self.depth = 0
        self.parsed = Parsed(Term("value"))

    def parse(self) -> Parsed:
        self.parsed.root = self._either()
        if self.tokens[self.at][0] != "end":
            raise self._unexpected("`and`, `or` or the end")
        return self.parsed

    def _take(self, *texts: str) -> str:
        kind, text, _ = self.tokens[self.at]
        if kind in ("name", "sign") and text in texts:
            self.at += 1
            return text
        return ""

    def _unexpected(self, wanted: str) -> UsageError:
        kind, text, column = self.tokens[self.at]
        what = "the expression ends" if kind == "end" else f"`{text}` stands"
        return UsageError(f"{what} at column {column} where {wanted} is expected")

    def _either(self) -> Term:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise UsageError(f"the expression is nested more than {_MAX_DEPTH} deep")
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Term("or", parts=tuple(parts))

    def _both(self) -> Term:
        parts = [self._negated()]
        while self._take("and"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else Term("and", parts=tuple(parts))

    def _negated(self) -> Term:
        negative = False
        while self._take("not"):
            negative = not negative
        test = self._test()
        return Term("not", parts=(test,)) if negative else test

    def _test(self) -> Term:
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise self._unexpected("`)`")
            return inner
        kind, text, _ = self.tokens[self.at]
        if kind == "name" and self.tokens[self.at + 1][1:2] == ("(",):
            return self._call(text)
        left = self._operand()
        sign = self._take("==", "!=")
        if sign:
            return Term("equal" if sign == "==" else "unequal", parts=(left, self._operand()))
        return Term("truth", parts=(left,))

    def _call(self, name: str) -> Term:
        if name not in FUNCTIONS:
            raise UsageError(f"`{name}()` is not known", hint="use always() or failed()")
        self.at += 2
        if not self._take(")"):
            raise self._unexpected("`)`")
        self.parsed.functions.add(name)
        return Term(name)

    def _operand(self) -> Term:
        kind, text, _ = self.tokens[self.at]
        if kind not in ("text", "number", "name") or text in ("and", "or", "not"):
            raise self._unexpected("a value")
        self.at += 1
        if kind == "text":
            return Term("value", text[1:-1])
        if kind == "number" or text in ("true", "false"):
            return Term("value", text)
        self.parsed.names[text] = None
        return Term("name", text)


def evaluate(parsed: Parsed, values: Mapping[str, Mapping[str, Scalar]], text_of: Callable[[Scalar], str]) -> bool:
    """Evaluates a parsed expression. Raises UsageError for a name that has no value."""
    return _Evaluation(values, text_of).holds(parsed.root)


class _Evaluation(Frozen):
    values: Mapping[str, Mapping[str, Scalar]]
    text_of: Callable[[Scalar], str]

    def holds(self, term: Term) -> bool:
        if term.kind == "or":
            return any(map(self.holds, term.parts))
        if term.kind == "and":
            return all(map(self.holds, term.parts))
        if term.kind == "not":
            return not self.holds(term.parts[0])
        if term.kind == "always":
            return True
        if term.kind == "failed":
            return any(
                name.endswith(".state") and state == "failed" for name, state in self.values.get("needs", {}).items()
            )
        if term.kind == "truth":
            return self.text(term.parts[0]) not in FALSE
        equal = self.text(term.parts[0]) == self.text(term.parts[1])
        return equal if term.kind == "equal" else not equal

    def text(self, term: Term) -> str:
        if term.kind == "value":
            return term.text
        space, dot, name = term.text.partition(".")
        found = self.values.get(space if dot else "run", {})
        key = name if dot else space
        if key not in found:
            raise UsageError(
                f"`{term.text}` has no value in `when:`",
                hint="use params.…, matrix.…, needs.STEP.state, trigger or branch",
            )
        return self.text_of(found[key])
