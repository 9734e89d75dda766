"""The shipped energies in many spellings: one family each, whose members are the same mathematics.

``<y>`` stands for a name, so that every name can be changed. Each term is a list of spellings with equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

GREEKLESS = [
    "a",
    "b",
    "c",
    "d",
    "g",
    "h",
    "i",
    "j",
    "k",
    "l",
    "m",
    "n",
    "o",
    "p",
    "q",
    "r",
    "s",
    "t",
    "u",
    "v",
    "w",
    "x",
]
LETTERS = [
    *GREEKLESS,
    "α",
    "β",
    "γ",
    "δ",
    "ε",
    "η",
    "θ",
    "κ",
    "λ",
    "μ",
    "ν",
    "ξ",
    "ρ",
    "τ",
    "φ",
    "χ",
    "ψ",
    "ω",
    "A",
    "B",
    "C",
]
LETTERS += [
    "D",
    "G",
    "H",
    "K",
    "L",
    "M",
    "P",
    "Q",
    "R_0",
    "S",
    "U",
    "V",
    "W",
    "X",
    "Y",
    "Z",
    "code",
    "data_",
    "fooBar",
    "Θ",
    "Γ",
]


@dataclass(frozen=True)
class Family:
    """``head``: declarations. ``terms``: spellings of each addend. ``free``: how latents leave.

    ``names``: every name that is changed; ``sizes`` of dimensions, by their names here.
    """

    name: str
    names: tuple[str, ...]
    head: str
    terms: tuple[tuple[str, ...], ...]
    arguments: str
    free: str
    sizes: dict[str, int]
    before: tuple[str, ...] = ()

    def text(self, names: dict[str, str], chosen: list[str]) -> str:
        """A spec with these names and these addends, in this order."""
        energy = f"<E>({self.arguments}) = " + " + ".join(chosen)
        lines = [self.head, *self.before, energy, self.free]
        whole = "\n".join("\n".join(x.strip() for x in line.strip().split("\n")) for line in lines if line)
        for old, new in names.items():
            whole = whole.replace(f"<{old}>", new)
        return whole + "\n"

    def plain(self) -> str:
        """As shipped."""
        return self.text({n: n for n in self.names}, [t[0] for t in self.terms])

    def rewritten(self, seed: int) -> tuple[str, dict[str, str]]:
        """A random member: other names, order, spellings, and factors moved about."""
        random = Random(seed)
        fresh = random.sample(LETTERS, len(self.names))
        names = dict(zip(self.names, fresh, strict=True))
        chosen = [moved(random, random.choice(t)) for t in self.terms]
        random.shuffle(chosen)
        if len(chosen) > 1 and random.random() < 0.3:
            chosen = [f"2 (½ ({chosen[0]}) + {' + '.join(f'({c})/2' for c in chosen[1:])})"]
        return self.text(names, chosen), names


def moved(random: Random, term: str) -> str:
    """A factor that multiplies to one put about a term."""
    return random.choice(
        ["{}", "{}", "{}", "½ (2 ({}))", "2 ({})/2", "(3 ({})) / 3", "½ ({0}) + ½ ({0})", "-(-({}))"]
    ).format(term)


RECONSTRUCTION = (
    "||<y> - <W> <z>||^2",
    "||<W> <z> - <y>||²",
    "(<y> - <W> <z>)'(<y> - <W> <z>)",
    "Σ_<i> (<y>[<i>] - Σ_<j> <W>[<i>, <j>] <z>[<j>])^2",
    "Σ_<i> (Σ_<j> <W>[<i>, <j>] <z>[<j>] - <y>[<i>])²",
    "sum((<y> - <W> <z>)^2)",
    "||<y>' - <z>' <W>'||^2",
    "||2 <y> - 2 <W> <z>||^2 / 4",
    "<y>'<y> - 2 <y>'<W> <z> + <z>'<W>'<W> <z>",
    "||<y>||^2 - 2 (<W> <z>)'<y> + ||<W> <z>||^2",
)
SPARSITY = (
    "<λ>|<z>|",
    "<λ> ||<z>||_1",
    "<λ> Σ_<j> |<z>[<j>]|",
    "Σ_<j> <λ> |<z>[<j>]|",
    "|<λ> <z>|",
    "Σ_<j> |-<z>[<j>]| <λ>",
    "½ <λ> |2 <z>|",
)
CODE_NEAR = (
    "||<z> - <Enc>(<y>)||^2",
    "||<Enc>(<y>) - <z>||^2",
    "(<z> - <Enc>(<y>))'(<z> - <Enc>(<y>))",
    "Σ_<j> (<z>[<j>] - <Enc>(<y>)[<j>])^2",
    "<z>'<z> - 2 <z>'<Enc>(<y>) + ||<Enc>(<y>)||^2",
)

FAMILIES = [
    Family(
        "sparse_coding", ("M", "N", "y", "z", "W", "λ", "E", "F", "i", "j"),
        "observed <y> : R[<M>]\nlatent <z> : R[<N>]\nparam <W> : R[<M>, <N>], unit columns\nconst <λ> = 0.5",
        (RECONSTRUCTION, SPARSITY), "<y>, <z>", "<F>(<y>) = min_<z> <E>(<y>, <z>)", {"M": 9, "N": 14},
    ),
    Family(
        "sparse_mnist", ("M", "N", "y", "z", "W", "λ", "E", "F", "i", "j"),
        "observed <y> : R[<M>]\nlatent <z> : R[<N>], >= 0\nparam <W> : R[<M>, <N>], unit columns\nconst <λ> = 0.2",
        (RECONSTRUCTION, (*SPARSITY, "<λ> Σ_<j> <z>[<j>]", "<λ> sum(<z>)")), "<y>, <z>",
        "<F>(<y>) = min_<z> <E>(<y>, <z>)", {"M": 9, "N": 14},
    ),
    Family(
        "psd", ("M", "N", "y", "z", "W", "Enc", "λ", "E", "F", "i", "j"),
        "observed <y> : R[<M>]\nlatent <z> : R[<N>]\nparam <W> : R[<M>, <N>], unit columns\n"
        "module <Enc> : R[<M>] -> R[<N>] = linear >> sh >> gain\nconst <λ> = 0.5",
        (RECONSTRUCTION, CODE_NEAR, SPARSITY), "<y>, <z>",
        "<F>(<y>) = min_<z> <E>(<y>, <z>)\ninfer <z> by <Enc>", {"M": 9, "N": 14},
    ),
    Family(
        "kmeans", ("D", "K", "y", "z", "W", "E", "F", "i", "j"),
        "observed <y> : R[<D>]\nlatent <z> : onehot[<K>]\nparam <W> : R[<D>, <K>]",
        (
            (
                *RECONSTRUCTION,
                "Σ_<j> <z>[<j>] ||<y> - <W>[:, <j>]||^2",
                "Σ_<j> <z>[<j>] Σ_<i> (<y>[<i>] - <W>[<i>, <j>])^2",
                "Σ_<i> Σ_<j> (<W>[<i>, <j>] - <y>[<i>])^2 <z>[<j>]",
            ),
        ),
        "<y>, <z>", "<F>(<y>) = min_<z> <E>(<y>, <z>)", {"D": 4, "K": 5},
    ),
    Family(
        "kmeans_soft", ("D", "K", "y", "z", "W", "β", "E", "F", "i", "j"),
        "observed <y> : R[<D>]\nlatent <z> : onehot[<K>]\nparam <W> : R[<D>, <K>]\nconst <β> = 2",
        ((*RECONSTRUCTION, "Σ_<j> <z>[<j>] ||<y> - <W>[:, <j>]||^2"),),
        "<y>, <z>", "<F>(<y>) = -1/<β> log Σ_<z> exp(-<β> <E>(<y>, <z>))", {"D": 4, "K": 5},
    ),
    Family(
        "gmm", ("D", "K", "y", "z", "m", "L", "w", "E", "F", "k", "i", "j"),
        "observed <y> : R[<D>]\nlatent <z> : onehot[<K>]\nparam <m> : R[<K>, <D>]\n"
        "param <L> : R[<K>, <D>, <D>], positive definite\nparam <w> : simplex[<K>]",
        (
            (
                "½ Σ_<k> <z>[<k>] (<y> - <m>[<k>])' <L>[<k>] (<y> - <m>[<k>])",
                "Σ_<k> <z>[<k>] ((<y> - <m>[<k>])' <L>[<k>] (<y> - <m>[<k>]))/2",
                "Σ_<k> ½ <z>[<k>] (<m>[<k>] - <y>)' <L>[<k>] (<m>[<k>] - <y>)",
                "½ Σ_<k> Σ_<i> Σ_<j> <z>[<k>] <L>[<k>, <i>, <j>] (<y>[<i>] - <m>[<k>, <i>]) (<y>[<j>] - <m>[<k>, <j>])",
                "½ Σ_<k> <z>[<k>] (<y> - <m>[<k>])' (<L>[<k>]' (<y> - <m>[<k>]))",
            ),
            (
                "(-½ Σ_<k> <z>[<k>] log det <L>[<k>])",
                "(-Σ_<k> <z>[<k>] (log det <L>[<k>])/2)",
                "(-½ Σ_<k> <z>[<k>] log |<L>[<k>]|)",
            ),
            ("(-Σ_<k> <z>[<k>] log <w>[<k>])", "Σ_<k> (-<z>[<k>] log <w>[<k>])", "(-½ Σ_<k> <z>[<k>] log <w>[<k>]^2)"),
        ),
        "<y>, <z>", "<F>(<y>) = softmin_<z>[1] <E>(<y>, <z>)", {"D": 3, "K": 4},
    ),
    Family(
        "pca", ("D", "K", "y", "W", "E", "F", "k", "i", "j"),
        "observed <y> : R[<D>]\nparam <W> : R[<K>, <D>]",
        (
            (
                "||<W>' <W> <y> - <y>||^2",
                "||<y> - <W>' (<W> <y>)||^2",
                "||<y> - (<W>' <W>) <y>||^2",
                "(<y> - <W>' <W> <y>)'(<y> - <W>' <W> <y>)",
                "Σ_<i> (<y>[<i>] - Σ_<k> <W>[<k>, <i>] Σ_<j> <W>[<k>, <j>] <y>[<j>])^2",
                "Σ_<i> (<y>[<i>] - Σ_<j> Σ_<k> <W>[<k>, <i>] <W>[<k>, <j>] <y>[<j>])^2",
                "||<y>' <W>' <W> - <y>'||^2",
            ),
        ),
        "<y>", "", {"D": 5, "K": 2},
    ),
    Family(
        "mean_blur", ("P", "D", "x", "y", "Pred", "E", "F", "i"),
        "observed <x> : R[<P>]\nobserved <y> : R[<D>]\nmodule <Pred> : R[<P>] -> R[<D>] = mlp(6, tanh)",
        (
            (
                "||<y> - <Pred>(<x>)||^2",
                "||<Pred>(<x>) - <y>||^2",
                "(<y> - <Pred>(<x>))'(<y> - <Pred>(<x>))",
                "Σ_<i> (<y>[<i>] - <Pred>(<x>)[<i>])^2",
            ),
        ),
        "<x>, <y>", "", {"P": 2, "D": 3},
    ),
    Family(
        "ebm_conditional", ("P", "K", "x", "y", "z", "Pred", "E", "F", "i"),
        "observed <x> : R[<P>]\nobserved <y> : R\nlatent <z> : onehot[<K>]\n"
        "module <Pred> : R[<P>] -> R[<K>] = mlp(6, tanh)",
        (
            (
                "(<y> - <z>'<Pred>(<x>))^2",
                "(<Pred>(<x>)'<z> - <y>)^2",
                "Σ_<i> <z>[<i>] (<y> - <Pred>(<x>)[<i>])^2",
                "(Σ_<i> <z>[<i>] <Pred>(<x>)[<i>] - <y>)^2",
            ),
        ),
        "<x>, <y>, <z>", "<F>(<x>, <y>) = min_<z> <E>(<x>, <y>, <z>)", {"P": 2, "K": 4},
    ),
    Family(
        "lv_predictor", ("P", "x", "y", "z", "Pred", "Dec", "E", "F", "i", "a", "b", "C"),
        "observed <x> : R[<P>]\nobserved <y> : R[3]\nlatent <z> : sphere[2]\n"
        "module <Pred> : R[<P>] -> R[4] = mlp(6, tanh)\nmodule <Dec> : R[4], R[2] -> R[3] = mlp(6, tanh)",
        (
            (
                "||<y> - <Dec>(<Pred>(<x>), <z>)||^2",
                "<C>(<y>, <Dec>(<Pred>(<x>), <z>))",
                "<C>(<Dec>(<Pred>(<x>), <z>), <y>)",
                "Σ_<i> (<y>[<i>] - <Dec>(<Pred>(<x>), <z>)[<i>])^2",
            ),
        ),
        "<x>, <y>, <z>", "<F>(<x>, <y>) = min_<z> <E>(<x>, <y>, <z>)", {"P": 2},
        before=("<C>(<a>, <b>) = ||<a> - <b>||^2",),
    ),
    Family(
        "multimodal_latent", ("P", "x", "y", "z", "Pred", "Dec", "λ", "E", "F", "i"),
        "observed <x> : R[<P>]\nobserved <y> : R[3]\nlatent <z> : box(-1, 1)[1]\n"
        "module <Pred> : R[<P>] -> R[4] = mlp(6, tanh)\n"
        "module <Dec> : R[4], R[1] -> R[3] = mlp(6, tanh)\nconst <λ> = 0.01",
        (
            (
                "||<y> - <Dec>(<Pred>(<x>), <z>)||^2",
                "Σ_<i> (<y>[<i>] - <Dec>(<Pred>(<x>), <z>)[<i>])^2",
            ),
            ("<λ>||<z>||^2", "<λ> <z>'<z>", "Σ_<i> <λ> <z>[<i>]^2", "<λ> <z>[0]^2"),
        ),
        "<x>, <y>, <z>", "<F>(<x>, <y>) = min_<z> <E>(<x>, <y>, <z>)", {"P": 2},
    ),
    Family(
        "elastic_groups", ("M", "G", "P", "y", "z", "W", "λ", "E", "F", "g", "p", "i"),
        "observed <y> : R[<M>]\nlatent <z> : R[<G>, <P>]\nparam <W> : R[<M>, <G>, <P>]\nconst <λ> = 0.3",
        (
            (
                "||<y> - Σ_<g> <W>[:, <g>, :] <z>[<g>]||^2",
                "Σ_<i> (<y>[<i>] - Σ_<g> Σ_<p> <W>[<i>, <g>, <p>] <z>[<g>, <p>])^2",
                "Σ_<i> (Σ_{<g>,<p>} <W>[<i>, <g>, <p>] <z>[<g>, <p>] - <y>[<i>])^2",
            ),
            (
                "<λ> Σ_<g> ||<z>[<g>]||",
                "Σ_<g> <λ> sqrt(Σ_<p> <z>[<g>, <p>]^2)",
                "Σ_<g> ||<λ> <z>[<g>]||",
                "Σ_<g> sqrt(<λ>^2 <z>[<g>]'<z>[<g>])",
            ),
            ("0.1||<W>||^2", "0.1 Σ_{<i>,<g>,<p>} <W>[<i>, <g>, <p>]^2", "||0.1 <W>||^2 / 0.1"),
        ),
        "<y>, <z>", "<F>(<y>) = min_<z> <E>(<y>, <z>)", {"M": 5, "G": 4, "P": 2},
    ),
]  # fmt: skip
