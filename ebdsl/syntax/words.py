"""What a word is by its position: keyword, name, function, big operator, Greek letter times name.

Nothing is looked up but whether a name is declared in this file, since ``λz`` is one name where a
line declares it and a product where none does, and ``W (y - z)`` is a product where W is a matrix.
"""

from __future__ import annotations

from lark import Token

from ebdsl.syntax.declared import AFTER_NAME, Declared, heads, is_head
from ebdsl.syntax.layout import Line, opens_statement
from ebdsl.syntax.rewrite import Words, declaration_tokens, fraction, index_tokens, integrals, without_list_dots
from ebdsl.syntax.spellings import canonical
from ebdsl.syntax.tokens import CLOSERS, OPENERS, closing, end, kind_at, make, start

BIG_WORDS = {
    "sum": "SUMOP",
    "prod": "SUMOP",
    "mean": "SUMOP",
    "int": "SUMOP",
    "min": "MINOP",
    "max": "SUMOP",
    "argmin": "MINOP",
    "argmax": "MINOP",
    "softmin": "MINOP",
}
"""Words that are big operators when a subscript follows, and the terminal of each."""

_SIGNS = {
    **dict.fromkeys(("BIGSUM", "BIGPROD", "INTEGRAL"), "SUMOP"),
    **dict.fromkeys(("STAR", "ELEMENTWISE", "DOT", "CROSS"), "OPERATOR"),
    "ELEMENT": "MEMBER",
    "ROOT": "FUNC",
    "INFINITY": "NAME",
    "SUBPLUS": "PLUS",
}

_PREFIX = "log ln exp det logdet tr trace sqrt sin cos tan sinh cosh tanh sign sgn abs norm rank diag"
PREFIX_FUNCTIONS = frozenset(_PREFIX.split())
"""Functions that mathematicians write without parentheses: ``log det W``, ``log|x|``, ``√x``."""

_OPERANDS = frozenset(
    {"NAME", "NUMBER", "FRACTION", "STRING", "LPAR", "BAR", "DOUBLEBAR", "ROOT", "PARTIAL", "FUNC", "FNAME"}
    | {"BIGSUM", "BIGPROD", "INTEGRAL", "INFINITY", "SUMOP", "MINOP", "ENCLOSING"}
)
"""What an operand starts with."""

_BARE = _OPERANDS - {"LPAR", "STRING"}

# ------------------------------------------------------------------ one statement


def retype(line: Line, names: Declared, *, setting: bool = False) -> list[Token]:
    """The line's tokens with the terminals of the grammar, in one spelling. Bars are left as they are."""
    tokens = list(line.tokens)
    kind = "KEY" if setting and tokens[0].type == "NAME" else None if setting else opens_statement(tokens, 0)
    if kind is None:
        return _definition(tokens, names)
    if kind in ("DIM", "CONST", "ROLE"):
        _part(tokens, kind)
    tokens[0].type = kind
    rest = tokens[1:]
    if kind == "MODEL":
        return tokens  # `model mean_blur` is one name, whatever its parts are
    if kind == "KEY":
        if rest and rest[0].type in ("EQUAL", "COLON"):
            rest = rest[1:]
        return [tokens[0], *_expression(rest, names, setting=True)]
    if kind == "INFER":
        for token in rest:
            if token.type == "NAME" and token == "by":
                token.type = "BY"
                break
    elif kind == "INDEX":
        rest = index_tokens(rest)
    elif kind in ("ROLE", "CONST", "MODULE"):
        rest = declaration_tokens(rest)
    return [tokens[0], *_expression(rest, names, layers=kind == "MODULE")]


def _part(tokens: list[Token], kind: str) -> None:
    """The commas that part declarations: ``const a = 1, b = 2`` is two, ``latent x, z : R`` one of two names."""
    typed = next((at for at, t in enumerate(tokens) if t.type in AFTER_NAME or t == "in"), len(tokens))
    for at in heads(tokens)[1:]:
        if kind == "DIM" or at > typed:
            tokens[at - 1].type = "NEXT"


def _definition(tokens: list[Token], names: Declared) -> list[Token]:
    if tokens[0].type != "NAME" or not is_head(tokens):
        return _expression(tokens, names)
    tokens[0].type = "FNAME"
    shut = closing(tokens, 1)
    params = frozenset(canonical(token) for token in tokens[2:shut] if token.type == "NAME")
    own = canonical(tokens[0])
    inside = Declared(names.values | params, names.functions - params, names.definitions - params, own)
    return tokens[: shut + 1] + _expression(tokens[shut + 1 :], inside)


def _expression(tokens: list[Token], names: Declared, *, layers: bool = False, setting: bool = False) -> list[Token]:
    """Split what is several words, and give each word its terminal."""
    out: list[Token] = []
    for at, token in enumerate(tokens):
        if token.type == "FRACTION":
            out.extend(fraction(token, out[-1].type if out else "", kind_at(tokens, at + 1)))
        elif token.type == "NAME" and len(token) > 1 and not isinstance(token, Words) and canonical(token) not in names:
            pieces = _pieces(token, kind_at(tokens, at + 1), layers=layers, setting=setting)
            if not (layers or setting) and pieces[-1].type == "NAME":
                pieces[-1:] = _run_together(pieces[-1], names, kind_at(tokens, at + 1))
            out.extend(pieces)
        else:
            out.append(token)
    out = without_list_dots(_subscripted(out, names))
    at = 0
    while at < len(out):
        _place(out, at, names)
        at += 1
    return integrals(out, names)


def _pieces(token: Token, follower: str, *, layers: bool, setting: bool) -> list[Token]:
    """``min_z`` is an operator and its subscript, ``E_u[`` too, ``λz`` is two names."""
    word, _, rest = token.partition("_")
    cut = start(token) + len(word)
    if (
        word in BIG_WORDS
        and rest
        and not layers  # max_pool is a layer, and min_prob_flow a strategy
        and not (setting and (follower == "LPAR" or follower not in _OPERANDS | {"MINUS", "LSQ", "LBRACE"}))
    ):
        return [make(BIG_WORDS[word], word, start(token), cut), make("SUB", "_" + rest, cut, end(token))]
    if word == "E" and rest and follower == "LSQ":
        return [make("ENCLOSING", "E", start(token), cut), make("SUB", "_" + rest, cut, end(token))]
    if "α" <= token[0] <= "ω" and token[1].isascii() and token[1].isalpha():
        cut = start(token) + 1
        tail = make("NAME", token[1:], cut, end(token))
        return [make("NAME", token[0], start(token), cut), *_pieces(tail, follower, layers=layers, setting=setting)]
    return [token]


def _run_together(token: Token, names: Declared, follower: str) -> list[Token]:
    """``Wz`` is ``W z`` where W and z are declared, ``Wz`` is not, and there is one way to cut it up.

    In the body of E no ``CE(`` is ``C E(``.
    """
    if len(token) > 12 or token in PREFIX_FUNCTIONS or canonical(token) in names:
        return [token]
    ends = names.functions - {names.own} if follower == "LPAR" else names.values
    cuts = [cut for cut in _cuts(str(token), names.values, ends) if len(cut) > 1]
    if len(cuts) != 1:
        return [token]
    out: list[Token] = []
    at = start(token)
    for piece in cuts[0]:
        out.append(make("NAME", piece, at, at + len(piece)))
        at += len(piece)
    return out


def _cuts(word: str, names: frozenset[str], ends: frozenset[str]) -> list[list[str]]:
    """The ways to cut a word into names, the last of them one of ``ends``."""
    whole = [[word]] if canonical(word) in ends else []
    return whole + [
        [word[:at], *rest]
        for at in range(1, len(word))
        if canonical(word[:at]) in names
        for rest in _cuts(word[at:], names, ends)
    ]


def _subscripted(tokens: list[Token], names: Declared) -> list[Token]:
    """``W_{k}`` is ``W_k``, unless the braces are those of an operator."""
    if all(token.type != "SUBBRACE" for token in tokens):
        return tokens
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if (
            token.type == "SUBBRACE"
            and out
            and out[-1].type == "NAME"
            and (out[-1] not in BIG_WORDS and (out[-1] != "E" or "E" in names))
            and kind_at(tokens, at + 1) in ("NAME", "NUMBER")
            and kind_at(tokens, at + 2) == "RBRACE"
        ):
            base = out.pop()
            out.append(make("NAME", f"{base}_{tokens[at + 1]}", start(base), end(tokens[at + 2])))
            at += 3
        else:
            out.append(token)
            at += 1
    return out


def _place(tokens: list[Token], at: int, names: Declared) -> None:
    """Give the token at ``at`` its terminal."""
    token = tokens[at]
    follower = kind_at(tokens, at + 1)
    if token.type == "NAME" and not isinstance(token, Words):
        _name(tokens, at, names, follower)
    elif token.type == "ROOT" and follower == "LPAR" and tokens[at + 1]:
        token.type = "FNAME"
    elif token.type in _SIGNS:
        token.type = _SIGNS[token.type]
    elif token.type == "CARET" and follower == "NAME" and tokens[at + 1] == "T":
        tokens[at : at + 2] = [make("PRIME", "^T", start(token), end(tokens[at + 1]))]
    if token.type == "MINOP" and token != "softmin":
        opener = at + 2 if follower == "SUB" else closing(tokens, at + 1) + 1
        if kind_at(tokens, opener) == "LSQ":
            _round(tokens, opener)


def _name(tokens: list[Token], at: int, names: Declared, follower: str) -> None:
    token = tokens[at]
    name = canonical(token)
    if follower == "LPAR" and not tokens[at + 1]:
        follower = "FRACTION"
    if token == "in":
        token.type = "MEMBER"
    elif name in names.values or (name not in names and name.rpartition("_")[0] in names.values):
        if follower == "LPAR" and _looks_called(tokens, at + 1):
            token.type = "FNAME"
    elif name == "E" and (follower == "LSQ" or (follower == "SUBBRACE" and _past(tokens, at + 1) == "LSQ")):
        token.type = "ENCLOSING"
    elif name in names.functions:
        if follower == "LPAR":
            token.type = "FNAME"
    elif name in names.definitions:
        if follower == "LPAR" and (_looks_called(tokens, at + 1) or kind_at(tokens, at + 3) == "RPAR"):
            token.type = "FNAME"  # F = ... and then F(y): a slide leaves out the argument
    elif token in BIG_WORDS and follower == "SUBBRACE":
        token.type = BIG_WORDS[token]
    elif (token == "int" and follower in _OPERANDS) or (token in ("sum", "prod") and follower in _BARE):
        token.type = "SUMOP"
    elif token == "partial" and follower in ("NAME", "LPAR"):
        token.type = "PARTIAL"
    elif token == "e" and follower == "CARET":
        tokens[at] = make("NAME", "ℯ", start(token), end(token))
    elif name in PREFIX_FUNCTIONS and follower == "LSQ":
        token.type = "FNAME"
        _round(tokens, at + 1)
    elif follower == "LPAR":
        token.type = "FNAME"
    elif name in PREFIX_FUNCTIONS and follower in _OPERANDS:
        token.type = "FUNC"


def _past(tokens: list[Token], opener: int) -> str:
    return kind_at(tokens, closing(tokens, opener) + 1)


def _round(tokens: list[Token], opener: int) -> None:
    """Square brackets that only group: ``exp[x]``, ``log [∫ ...]``."""
    shut = closing(tokens, opener)
    tokens[opener].type, tokens[shut].type = "LPAR", "RPAR"


def _looks_called(tokens: list[Token], opener: int) -> bool:
    """``W()`` and ``W(a, b)``, which no product looks like: let the checker say that W is no function."""
    shut = closing(tokens, opener)
    depth = 0
    for index in range(opener, shut):
        if tokens[index].type in OPENERS:
            depth += 1
        elif tokens[index].type in CLOSERS:
            depth -= 1
        elif depth == 1 and tokens[index].type in ("COMMA", "EQUAL"):
            return True
    return shut == opener + 1
