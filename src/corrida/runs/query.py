"""The grammar of filters and orders, compiled to SQL over the catalog.

::

    filter     = or ;            or  = and { "or" and } ;       and = not { "and" not } ;
    not        = [ "not" ] term ;
    term       = "(" or ")" | field operator value | field "in" "(" value { "," value } ")"
               | field "is" [ "not" ] "null" ;
    operator   = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" | "~" | "!~" ;
    field      = id | pipeline | status | created | finished | duration | source | description | notes | seed
               | parent | resumed_from | git.commit | git.branch | metrics.NAME | params.NAME | tags.NAME | findings.NAME ;
    value      = number | 'text' | "text" | true | false ;

``~`` means contains, without regard to case. A name with blanks or signs is written in backticks. A comparison with
something that a run lacks is false, whichever the operator.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from corrida.errors import InvalidFilter

TEXT_FIELDS = frozenset(
    {
        "id",
        "pipeline",
        "status",
        "created",
        "finished",
        "source",
        "description",
        "notes",
        "parent",
        "resumed_from",
    }
)
FIELDS = TEXT_FIELDS | {"duration", "seed", "git.commit", "git.branch"}
GROUPS = ("metrics", "params", "tags", "findings")
MAX_TERMS, MAX_DEPTH, MAX_VALUES, MAX_LENGTH = 200, 50, 10_000, 1_000_000
_PATTERN = r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
      | (?P<operator><=|>=|==|!=|<>|!~|=|<|>|~)
      | (?P<sign>[(),])
      | (?P<word>(?:`[^`]*`|[^\s()=<>!~,'"`])+)
    )"""
_PART = r"((?:`[^`]*`|[^,])*),"
_NUMBERS = frozenset({"duration", "seed"})
_SQL_OPERATOR = {"==": "=", "<>": "!=", "=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Sql(NamedTuple):
    """A piece of SQL with its parameters."""

    text: str
    values: tuple[Any, ...] = ()


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


def compile_filter(text: str, names: Iterable[str] = ()) -> Sql:
    """Compile a filter to a condition over the table ``runs`` of the catalog.

    Args:
        text: as in ``metrics.precision > 0.6 and source = 'gold_set_100'``.
        names: names of metrics, params and tags that exist (with their group), to offer the nearest.

    Raises:
        InvalidFilter: with the place and what was expected there; or it is larger than the limits above.
    """
    return _Parser(text, names).parse()


def names_in_filter(text: str) -> list[str]:
    """Return the names of fields that a filter mentions, each once, in their order."""
    parser = _Parser(text, ())
    parser.parse()
    return list(dict.fromkeys(parser.fields))


def compile_order(
    order_by: str, names: Iterable[str] = (), *, more: Iterable[str] = ()
) -> list[tuple[str, bool]]:
    """Return fields to sort by as (field, descending).

    Args:
        order_by: fields separated by commas; a leading ``-`` puts the greatest first.
        names: as of :func:`compile_filter`.
        more: other names that may stand in it.

    Raises:
        InvalidFilter: a field is unknown.
    """
    parsed, more = [], frozenset(more)
    for part in re.findall(_PART, order_by + ","):
        name = part.strip()
        descending = name.startswith("-")
        name = _unquote(name.lstrip("+-"))
        if not name:
            raise InvalidFilter(f"the order {order_by!r} has an empty field; write it as -metrics.f1,created")
        if name not in more:
            _check_field(name, names)
        parsed.append((name, descending))
    if len(parsed) > MAX_DEPTH:
        raise InvalidFilter(f"the order names {len(parsed)} fields; at most {MAX_DEPTH} make sense")
    return parsed


def field_expression(name: str) -> Sql:
    """Return the SQL of a field; NULL where a run lacks it."""
    group, _, rest = name.partition(".")
    if group == "metrics" and rest:
        return Sql("(SELECT value FROM metrics m WHERE m.run = runs.n AND m.name = ?)", (rest,))
    if group in GROUPS and rest:
        return Sql(f"json_extract(runs.{group}, ?)", (f'$."{rest}"',))
    return Sql({"git.commit": "runs.git_commit", "git.branch": "runs.git_branch"}.get(name, f"runs.{name}"))


def _check_field(name: str, names: Iterable[str]) -> None:
    group, _, rest = name.partition(".")
    if name in FIELDS or (group in GROUPS and rest and '"' not in rest):
        return
    import difflib

    names = list(names)
    grouped = [n for n in names if n.partition(".")[2] == name]
    near = grouped or difflib.get_close_matches(name, [*FIELDS, *names], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"fields are {', '.join(sorted(FIELDS))}."
    raise InvalidFilter(
        f"{name!r} is no field; {hint} Metrics, parameters and tags are metrics.X, params.X, tags.X"
    )


def _unquote(word: str) -> str:
    return word.replace("`", "")


class _Parser:
    def __init__(self, text: str, names: Iterable[str]) -> None:
        self._text = text
        self._names = names
        self._terms = self._values = self._depth = 0
        if len(text) > MAX_LENGTH:
            raise InvalidFilter(f"the filter has {len(text)} characters; at most {MAX_LENGTH} can be read")
        self._tokens = self._scan(text)
        self._at = 0
        self.fields: list[str] = []

    def _scan(self, text: str) -> list[_Token]:
        tokens = []
        place = 0
        end = len(text.rstrip())
        token = re.compile(_PATTERN, re.VERBOSE)  # here, since most commands filter nothing
        while place < end:
            found = token.match(text, place)
            if not found:
                rest = text[place:].strip()
                what = "a quote is not closed" if rest[0] in "'\"`" else f"{rest[0]!r} has no meaning there"
                raise InvalidFilter(f"filter {text!r}, at {rest[:20]!r}: {what}")
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found.group(kind), found.start(kind)))
            place = found.end()
        return tokens

    def parse(self) -> Sql:
        if not self._tokens:
            raise InvalidFilter("the filter is empty; write it as metrics.f1 > 0.6 and status = 'finished'")
        result = self._or()
        if self._at < len(self._tokens):
            self._fail("'and', 'or' or the end")
        return result

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self, *words: str) -> bool:
        token = self._peek()
        if token and token.kind == "word" and token.text.lower() in words:
            self._at += 1
            return True
        return False

    def _sign(self, sign: str) -> bool:
        token = self._peek()
        if token and token.kind == "sign" and token.text == sign:
            self._at += 1
            return True
        return False

    def _fail(self, expected: str) -> None:
        token = self._peek()
        where = f"at {self._text[token.place :][:20]!r}" if token else "at its end"
        raise InvalidFilter(f"filter {self._text!r}, {where}: expected {expected}")

    @contextlib.contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidFilter(
                f"the filter is nested more than {MAX_DEPTH} deep; leave out brackets and 'not' that change nothing"
            )
        yield
        self._depth -= 1

    def _or(self) -> Sql:
        parts = [self._and()]
        while self._word("or"):
            parts.append(self._and())
        return _joined(" OR ", parts)

    def _and(self) -> Sql:
        parts = [self._not()]
        while self._word("and"):
            parts.append(self._not())
        return _joined(" AND ", parts)

    def _not(self) -> Sql:
        if self._word("not"):
            with self._deeper():
                inner = self._not()
            return Sql(f"({inner.text}) IS NOT 1", inner.values)
        return self._term()

    def _term(self) -> Sql:
        if self._sign("("):
            with self._deeper():
                inner = self._or()
            if not self._sign(")"):
                self._fail("')'")
            return inner
        token = self._peek()
        if not token or token.kind != "word":
            self._fail("a field such as metrics.f1")
        assert token  # noqa: S101 - _fail raised otherwise
        self._at += 1
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise InvalidFilter(
                f"the filter has more than {MAX_TERMS} comparisons; write many values of one field as "
                "FIELD in (a, b, …), or filter in several steps"
            )
        name = _unquote(token.text)
        _check_field(name, self._names)
        self.fields.append(name)
        field = field_expression(name)
        if self._word("is"):
            negated = self._word("not")
            if not self._word("null", "none", "missing"):
                self._fail("'null'")
            return Sql(f"{field.text} IS {'NOT ' if negated else ''}NULL", field.values)
        negated = self._word("not")
        if self._word("in"):
            return self._in(name, field, negated=negated)
        if negated:
            self._fail("'in'")
        return self._comparison(name, field)

    def _in(self, name: str, field: Sql, *, negated: bool) -> Sql:
        if not self._sign("("):
            self._fail("'('")
        values = [self._value(name)]
        while self._sign(","):
            values.append(self._value(name))
        if not self._sign(")"):
            self._fail("',' or ')'")
        self._values += len(values)
        if self._values > MAX_VALUES:
            raise InvalidFilter(f"the filter lists more than {MAX_VALUES} values; filter in several steps")
        marks = ", ".join("?" * len(values))
        return Sql(f"{field.text} {'NOT ' if negated else ''}IN ({marks})", (*field.values, *values))

    def _comparison(self, name: str, field: Sql) -> Sql:
        token = self._peek()
        if not token or token.kind != "operator":
            self._fail("a comparison such as =, >, ~, 'in' or 'is null'")
        assert token  # noqa: S101 - _fail raised otherwise
        self._at += 1
        if token.text in {"~", "!~"}:
            value = self._value(None)
            sign = ">" if token.text == "~" else "="
            return Sql(f"instr(folded({field.text}), ?) {sign} 0", (*field.values, str(value).casefold()))
        value = self._value(name)
        return Sql(f"{field.text} {_SQL_OPERATOR[token.text]} ?", (*field.values, value))

    def _value(self, name: str | None) -> str | float | int:
        token = self._peek()
        if not token or token.kind in {"operator", "sign"}:
            self._fail("a value: a number, a text in quotes, true or false")
        assert token  # noqa: S101 - _fail raised otherwise
        self._at += 1
        value: str | float | int
        if token.kind == "number":
            value = _number(token.text)
        elif token.kind == "text":
            quote = token.text[0]
            value = re.sub(r"\\(.)", r"\1", token.text[1:-1].replace(quote * 2, quote))
        elif token.text.lower() in {"true", "false"}:
            value = int(token.text.lower() == "true")
        else:
            self._at -= 1
            self._fail(f"a value; write a text in quotes, as '{token.text}'")
            raise AssertionError  # pragma: no cover - _fail raised
        if name and (name.startswith("metrics.") or name in _NUMBERS) and isinstance(value, str):
            raise InvalidFilter(
                f"filter {self._text!r}: {name} is a number and cannot be compared with {value!r}"
            )
        if name and (name in TEXT_FIELDS or name.startswith("tags.")) and not isinstance(value, str):
            return token.text
        return value


def _number(text: str) -> float | int:
    value = float(text)
    return value if re.search(r"[.eE]", text) or abs(value) >= 2**63 else int(text)


def _joined(word: str, parts: list[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    # The deepest comes first and only an "or" gets brackets: the stack of SQLite's parser has 100 places.
    parts = sorted(parts, key=lambda p: _nesting(p.text), reverse=True)
    text = word.join(p.text for p in parts)
    return Sql(f"({text})" if word == " OR " else text, tuple(v for p in parts for v in p.values))


def _nesting(text: str) -> int:
    return max(accumulate((c == "(") - (c == ")") for c in text))
