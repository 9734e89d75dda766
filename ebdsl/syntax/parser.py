"""``parse``: from a text to its tree, with every error of the text at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lark import Token
from lark.exceptions import UnexpectedInput

from ebdsl.diagnostics import Checked, Diagnostic, Label, Source, Span
from ebdsl.syntax import ast, bars, words
from ebdsl.syntax.characters import broken_characters
from ebdsl.syntax.declared import Declared, declared
from ebdsl.syntax.layout import Layout, Line, layout, opens_statement
from ebdsl.syntax.slips import slips
from ebdsl.syntax.tokens import CLOSERS, OPENERS, end, grammar, lex, make, span, start

MAX_DEPTH = 100
MAX_BYTES = 256 * 1024
MAX_ERRORS = 25


def parse(source: Source) -> Checked[ast.Spec]:
    """The tree of a whole file.

    Statements are read one by one, so that each can be wrong on its own. The value holds those that
    could be read, and is None only where nothing can be said of the text at all.
    """
    if len(source.text) > MAX_BYTES:
        from ebdsl.syntax.complaints import too_large

        return Checked(None, (too_large(MAX_BYTES),))
    tokens = lex(source.text)
    found = layout(source.text, tokens)
    problems = broken_characters(source.text, tokens) + found.diagnostics
    if not found.lines and not problems:
        return Checked(None, (Diagnostic("EB0120", "there is nothing to read here", (Label(Span(0, 0)),)),))
    statements = _statements(source.text, found, problems)
    name = None
    for statement in statements:
        if isinstance(statement, ast.ModelName):
            if name is not None:
                problems.append(Diagnostic("EB0112", "this file names its model twice", (Label(statement.span),)))
            name = name or statement.name
    comments = tuple((span(token), str(token)) for token in found.comments)
    return Checked(ast.Spec(tuple(statements), name, comments), _many(problems))


def _many(problems: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """In the order of the text, and no more than anybody reads."""
    ordered = sorted(problems, key=lambda d: d.labels[0].span if d.labels else Span(0, 0))
    if len(ordered) <= MAX_ERRORS:
        return tuple(ordered)
    rest = ordered[MAX_ERRORS:]
    return (
        *ordered[:MAX_ERRORS],
        Diagnostic("EB0119", f"{len(rest)} more errors follow; is this a spec?", rest[0].labels),
    )


# ------------------------------------------------------------------ statements and the train block


def _statements(text: str, found: Layout, problems: list[Diagnostic]) -> list[ast.Statement]:
    names = declared(found.lines)
    out: list[ast.Statement] = []
    base = min((line.indent for line in found.lines if not line.joined), default=0)
    for line, settings in blocks(found.lines):
        if settings is None:
            if line.indent != base and not line.joined:
                problems.append(_stray(line))
            out.extend(_read(text, line, names, problems, setting=False))
        else:
            head = line.tokens[0]
            children = _nest(text, settings, names, problems)
            finish = children[-1].span.end if children else end(head)
            out.append(ast.Train(Span(start(head), finish), children))
    return out


def blocks(lines: list[Line]) -> Iterator[tuple[Line, list[Line] | None]]:
    """Each statement, a ``train`` line with the lines of its block (also those on its own line)."""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if opens_statement(line.tokens, 0) != "TRAIN":
            yield line, None
            continue
        rest = line.tokens[1:]
        if rest and rest[0].type == "COLON":
            rest = rest[1:]
        block = at
        while block < len(lines) and (lines[block].joined or lines[block].indent > line.indent):
            block += 1
        inside = lines[at:block]
        indent = next((other.indent for other in inside if not other.joined), line.indent + 1)
        on_line = [Line(rest, indent, True, line.broken)] if rest else []
        while inside and inside[0].joined:
            on_line.append(replace(inside.pop(0), indent=indent))
        settings = on_line + inside
        at = block
        yield line, settings


def _nest(text: str, lines: list[Line], names: Declared, problems: list[Diagnostic]) -> tuple[ast.Setting, ...]:
    """Settings with those indented under them as children."""
    out: list[ast.Setting] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        inner: list[Line] = []
        while at < len(lines) and lines[at].indent > line.indent:
            inner.append(lines[at])
            at += 1
        read = _read(text, line, names, problems, setting=True)
        children = _nest(text, inner, names, problems) if len(inner) < len(lines) else ()
        for statement in read:
            if isinstance(statement, ast.Setting):
                where = statement.span.to(children[-1].span) if children else statement.span
                statement = replace(statement, children=children, span=where)
                out.append(statement)
    return tuple(out)


def _stray(line: Line) -> Diagnostic:
    return Diagnostic(
        "EB0110",
        "this line is indented, but belongs to no block",
        (Label(span(line.tokens[0]), "indented"),),
        ("start it at the margin; to continue the line before, start it with an operator",),
    )


# ------------------------------------------------------------------ one statement


def _read(text: str, line: Line, names: Declared, problems: list[Diagnostic], *, setting: bool) -> list[ast.Statement]:
    """The statements of one line (``latent x, z : R`` is two); none, and a problem, where it is wrong."""
    if line.broken:
        return []
    deep = _deepest(line.tokens)
    if deep is not None:
        problems.append(_too_deep(span(deep)))
        return []
    tokens = words.retype(line, names, setting=setting)
    tokens, trouble = bars.resolve(text, tokens)
    if trouble:
        from ebdsl.syntax.complaints import lonely_bar

        problems.append(lonely_bar(tokens, trouble[0]))
        return []
    slip = slips(tokens)
    if slip is not None:
        problems.append(slip)
        return []
    machine = grammar().parse_interactive("")
    try:
        for token in tokens:
            machine.feed_token(token)
        last = tokens[-1]
        statements: list[ast.Statement] = machine.feed_token(make("$END", "", end(last), end(last)))
    except UnexpectedInput as error:
        from ebdsl.syntax.complaints import unexpected

        problems.append(unexpected(tokens, getattr(error, "token", None), machine.accepts()))
        return []
    for statement in statements:
        node = too_deep(statement)
        if node is not None:
            problems.append(_too_deep(node.span))
            return []
        if isinstance(statement, ast.Equation) and not isinstance(statement.left, ast.Index):
            from ebdsl.syntax.complaints import left_of_equals

            problems.append(left_of_equals(statement.left))
            return []
    return statements


def _deepest(tokens: list[Token]) -> Token | None:
    """The bracket that is one too many, if there is one."""
    depth = 0
    for token in tokens:
        if token.type in OPENERS:
            depth += 1
            if depth > MAX_DEPTH:
                return token
        elif token.type in CLOSERS:
            depth -= 1
    return None


def too_deep(statement: ast.Statement) -> ast.Expr | None:
    """An expression that nests deeper than MAX_DEPTH, found without recursion."""
    level = list(ast.expressions(statement))
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.children(node)]
        if not level:
            return None
    return level[0]


def _too_deep(where: Span) -> Diagnostic:
    return Diagnostic(
        "EB0106",
        f"this is nested more than {MAX_DEPTH} levels deep",
        (Label(where, "here it gets too deep"),),
        ("give an inner part a name on a line of its own",),
    )
