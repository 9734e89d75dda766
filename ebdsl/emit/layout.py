"""Lines of generated text brought to 120 columns, in the manner of ruff's formatter."""

from __future__ import annotations

import itertools
import textwrap

WIDTH = 120
OPEN, CLOSE = "([{", ")]}"


def laid_out(text: str) -> str:
    """Long statements broken at their brackets, long docstring lines filled, blank lines before inner functions."""
    lines: list[str] = []
    quoted = False
    for line in text.split("\n"):
        marks = line.count('"""')
        if quoted or marks:
            lines += _prose(line) if len(line) > WIDTH else [line]
            quoted ^= marks % 2 == 1
            continue
        lines += _broken(line) if len(line) > WIDTH else [line]
    return "\n".join(_spaced(lines))


def _prose(line: str) -> list[str]:
    """A long line of a docstring, filled at its indentation."""
    indent = line[: len(line) - len(line.lstrip())]
    body = line.strip()
    if body.startswith('"""') and body.endswith('"""') and len(body) > 6:
        filled = textwrap.wrap(body[3:-3], WIDTH - len(indent) - 3)
        return [f'{indent}"""{filled[0]}', *(indent + x for x in filled[1:]), f'{indent}"""']
    return textwrap.wrap(
        line.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + "    ", break_long_words=False
    )


def _broken(line: str) -> list[str]:
    """One long statement over several lines: at the last bracket that closes at its end, or in front of its signs."""
    if len(line) <= WIDTH:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    found = _last_group(line)
    if found is None:
        return [line]
    begin, end = found
    if begin >= WIDTH:
        summed = _at_signs(line)
        if summed:
            return summed
        begin, end = next((p for p in reversed(_groups(line)) if p[0] < WIDTH and p[1] > p[0] + 1), found)
    inside = line[begin + 1 : end].strip()
    head, tail = line[: begin + 1], line[end:]
    if not inside:
        return [line]
    deeper = indent + "    "
    parts = _split(inside)
    if len(deeper + inside) <= WIDTH and not inside.endswith(","):
        return [head, deeper + inside, indent + tail]
    if loops := _loops(inside):
        return [head, *(x for p in loops for x in _broken(deeper + p)), indent + tail]
    if len(parts) == 1:
        return [head, *_broken(deeper + parts[0]), indent + tail]
    return [head, *(x for p in parts for x in _broken(deeper + p + ",")), indent + tail]


def _at_signs(line: str) -> list[str]:
    """A sum or a tuple with a line for each part, in parentheses where it is a statement's; empty for anything else."""
    indent = line[: len(line) - len(line.lstrip())]
    body = line.strip()
    marks = [k for k in _outside(body) if body[k - 1 : k + 2] in (" + ", " - ")]
    equals = next((k for k in _outside(body) if body[k - 1 : k + 2] == " = "), None)
    begin = len("return ") if body.startswith("return ") else 0 if equals is None else equals + 2
    commas = [k for k in _outside(body) if body[k] == "," and k < len(body) - 1]
    if commas and begin:
        terms = [f"{t}," for t in _split(body[begin:])]
        return [indent + body[:begin] + "(", *(x for t in terms for x in _broken(indent + "    " + t)), indent + ")"]
    if not marks or commas or marks[0] < begin:
        return []
    cuts = [begin, *marks, len(body)]
    terms = [body[a:b].strip() for a, b in itertools.pairwise(cuts)]
    if not begin:
        return [x for t in terms for x in _broken(indent + t)]
    return [indent + body[:begin] + "(", *(x for t in terms for x in _broken(indent + "    " + t)), indent + ")"]


def _outside(line: str) -> list[int]:
    """The places outside of brackets, strings and comments."""
    places, depth, quote = [], 0, ""
    for k, c in enumerate(line):
        if quote:
            if c == quote and line[k - 1] != "\\":
                quote = ""
        elif c in "\"'":
            quote = c
        elif c == "#":  # a comment is no code
            break
        elif c in OPEN:
            depth += 1
        elif c in CLOSE:
            depth -= 1
        elif depth == 0:
            places.append(k)
    return places


def _groups(line: str) -> list[tuple[int, int]]:
    """Outermost bracket pairs, outside of strings and comments."""
    pairs, stack, quote = [], [], ""
    for k, c in enumerate(line):
        if quote:
            if c == quote and line[k - 1] != "\\":
                quote = ""
        elif c in "\"'":
            quote = c
        elif c == "#":  # a comment is no code
            break
        elif c in OPEN:
            stack.append(k)
        elif c in CLOSE and stack:
            begin = stack.pop()
            if not stack:
                pairs.append((begin, k))
    return pairs


def _last_group(line: str) -> tuple[int, int] | None:
    pairs = [p for p in _groups(line) if p[1] > p[0] + 1]
    return pairs[-1] if pairs else None


def _split(text: str) -> list[str]:
    """The text at its outermost commas."""
    cuts = [-1, *(k for k in _outside(text) if text[k] == ","), len(text)]
    parts = [text[a + 1 : b].strip() for a, b in itertools.pairwise(cuts)]
    return parts if parts[-1] else parts[:-1]


def _loops(text: str) -> list[str]:
    """A comprehension in front of its loops and conditions; empty for anything else."""
    words = [f" {w} " for w in ("for", "if")]
    cuts = [k for k in _outside(text) if any(text.startswith(w, k) for w in words)]
    if not cuts or not text.startswith(words[0], cuts[0]):
        return []
    return [text[a:b].strip() for a, b in itertools.pairwise([0, *cuts, len(text)])]


def _spaced(lines: list[str]) -> list[str]:
    """One blank line before and after a function inside a function, none after a header."""
    result: list[str] = []
    for line in lines:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped.startswith("def ") and indent >= 8 and result and result[-1].strip():
            previous = result[-1]
            if not previous.rstrip().endswith(":") or len(previous) - len(previous.lstrip()) >= indent:
                result.append("")
        if (
            not stripped
            and result
            and not result[-1].strip()
            and indent == 0
            and len(result) > 1
            and not result[-2].strip()
        ):
            continue
        result.append(line)
    return result
