"""Pictures: golden DOT and Mermaid, sound SVG, PNG and PDF, hostile names, and files written whole."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageFont

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.graph import FORMATS, draw, factor_graph, picture
from ebdsl.graph.dot import dot
from ebdsl.graph.figure import figure
from ebdsl.graph.font import PATH, font
from ebdsl.graph.layout import layout
from ebdsl.graph.scene import Ellipse, Scene, Words, scene
from ebdsl.graph.scene import Path as Drawn
from ebdsl.graph.text import pretty, runs, wrap
from ebdsl.model.model import Model
from tests.graph import models

HOSTILE = (
    '"]; click n0 "javascript:alert(1)" %%{init}%% <script>alert(1)</script> \\N \\" | `x` $$ # ; </title> --> \n end'
)
SVG = "{http://www.w3.org/2000/svg}"


def laid_out(model: Model) -> Scene:
    shown = figure(factor_graph(model))
    placed = layout(dot(shown), len(shown.links))
    assert not isinstance(placed, Diagnostic)
    return scene(shown, placed)


@pytest.mark.parametrize("name", models.ALL)
def test_text_formats_are_golden(name: str, golden: Callable[[str, str], None]) -> None:
    model = models.ALL[name]()
    golden(f"{name}.dot", str(draw(model, format="dot")))
    golden(f"{name}.mmd", str(draw(model, format="mmd")))


@pytest.mark.parametrize("name", models.ALL)
def test_svg_says_what_the_graph_says(name: str) -> None:
    model = models.ALL[name]()
    root = ElementTree.fromstring(str(draw(model)))
    groups = [g.get("class") for g in root.iter(f"{SVG}g")]
    g = factor_graph(model)
    for role in ("observed", "latent", "noise"):
        assert groups.count(role) == [r for _, r in g.nodes(data="role")].count(role)
    kinds = [k for _, k in g.nodes(data="kind")]
    assert (groups.count("function"), groups.count("energy")) == (kinds.count("function"), kinds.count("energy"))
    text = " ".join("".join(t.itertext()) for t in root.iter(f"{SVG}text"))
    assert all(s.name in text for s in model.role("observed", "latent"))
    titles = [t.text for t in root.iter(f"{SVG}title")]
    assert all(any(term.text in (t or "") for t in titles) for term in model.terms)


@pytest.mark.parametrize("name", models.ALL)
def test_nothing_leaves_the_page_and_words_stay_in_their_shapes(name: str) -> None:
    drawn = laid_out(models.ALL[name]())
    for group in drawn.groups:
        outline = group.marks[0]
        for mark in group.marks:
            if isinstance(mark, Words):
                assert mark.x - mark.width / 2 >= 0 and mark.x + mark.width / 2 <= drawn.width
                assert mark.y - mark.size >= 0 and mark.y <= drawn.height
                if isinstance(outline, Ellipse):
                    assert mark.width < 2 * outline.rx
                elif isinstance(outline, Drawn) and group.kind != "link":
                    across = [float(v) for c in outline.commands for v in c[1::2]]
                    assert mark.width < max(across) - min(across)
            elif isinstance(mark, Ellipse):
                assert mark.x - mark.rx >= 0 and mark.x + mark.rx <= drawn.width


def test_every_link_goes_from_its_tail_to_its_head() -> None:
    """Routes come back from the engine in its own order: each must find its link."""
    drawn = laid_out(models.psd())
    shapes = {g.title: g.marks[0] for g in drawn.groups if g.kind != "link"}
    for link in (g for g in drawn.groups if g.kind == "link"):
        tail, head = (shapes[t] for t in link.title.split(" → "))
        path = link.marks[0]
        assert isinstance(path, Drawn)
        first, last = path.commands[0][1:], path.commands[-1][-2:]
        for (x, y), shape in ((first, tail), (last, head)):
            left, top, right, bottom = _extent(shape)
            assert left - 16 <= float(x) <= right + 16 and top - 16 <= float(y) <= bottom + 16


def _extent(mark: object) -> tuple[float, float, float, float]:
    if isinstance(mark, Ellipse):
        return mark.x - mark.rx, mark.y - mark.ry, mark.x + mark.rx, mark.y + mark.ry
    assert isinstance(mark, Drawn)
    xs = [float(v) for c in mark.commands for v in c[1::2]]
    ys = [float(v) for c in mark.commands for v in c[2::2]]
    return min(xs), min(ys), max(xs), max(ys)


def test_observed_below_and_energies_on_top() -> None:
    drawn = laid_out(models.psd())
    heights = {
        kind: [g.marks[0] for g in drawn.groups if g.kind == kind] for kind in ("observed", "energy", "function")
    }
    lowest_energy = max(_extent(m)[3] for m in heights["energy"])
    assert all(_extent(m)[1] > lowest_energy for m in heights["function"] + heights["observed"])
    assert min(_extent(m)[1] for m in heights["observed"]) > max(_extent(m)[3] for m in heights["function"])


def test_png_is_a_sharp_picture_with_the_three_colours() -> None:
    png = draw(models.psd(), format="png")
    assert isinstance(png, bytes)
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert min(image.size) > 400
    colours = {c: n for n, c in image.getcolors(image.width * image.height) or []}
    for wanted in ((0xF2, 0x8B, 0x82), (0xC9, 0xCE, 0xD6), (0xD5, 0xE5, 0xF7)):
        assert colours[wanted] > 1000
    assert colours[(0x16, 0x18, 0x1B)] > 100  # words


def test_mathematics_is_drawn_without_any_typeface_of_the_machine() -> None:
    assert font().missing("λΣ‖²ᵀβμθ∫∂≥≤−×→∗½ŷ∈ℝ⊙αΦ") == ""
    text = "‖y − W z‖² + λᵀΣ"
    assert font().width(text, 15) == pytest.approx(ImageFont.truetype(PATH, 1500).getlength(text) / 100, rel=1e-3)


def test_pdf_is_sound() -> None:
    data = draw(models.psd(), format="pdf")
    assert isinstance(data, bytes)
    start = int(re.findall(rb"startxref\n(\d+)", data)[0])
    assert data[start : start + 4] == b"xref"
    places = [int(p) for p in re.findall(rb"(\d{10}) 00000 n", data)]
    assert len(places) == 10
    for number, place in enumerate(places, start=1):
        assert data[place:].startswith(b"%d 0 obj" % number)
    streams = [
        zlib.decompress(data[m.end() : m.end() + int(m[1])])
        for m in re.finditer(rb"/Length (\d+) [^>]*>>\nstream\n", data)
    ]
    commands, typeface, mapping = streams
    assert commands.count(b"BT") >= 12
    assert typeface == font().data
    for c in "λ‖²→":
        assert f"<{font().glyphs[ord(c)]:04x}> <{ord(c):04x}>".encode() in mapping


def test_same_bytes_every_time() -> None:
    """Also in processes that hash differently."""
    code = (
        "import sys, hashlib; from tests.graph import models; from ebdsl.graph import FORMATS, draw\n"
        "for f in FORMATS:\n"
        "    x = draw(models.predictor(), format=f)\n"
        "    print(f, hashlib.sha256(x.encode() if isinstance(x, str) else x).hexdigest())\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    root = str(Path(__file__).parents[2])
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": root, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(FORMATS)


def hostile() -> Model:
    return models.sparse_coding(y=HOSTILE, z="<b>&amp;</b>", W="a\x00\x1b[31m\u202eb", model=HOSTILE)


def test_hostile_names_are_words_in_svg() -> None:
    root = ElementTree.fromstring(str(draw(hostile())))
    allowed = {"svg", "title", "desc", "rect", "g", "ellipse", "path", "text", "tspan"}
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= allowed
    names = {a for e in root.iter() for a in e.attrib}
    assert not [a for a in names if a.startswith("on") or "href" in a or a == "style"]
    assert any("<script>" in (t.text or "") for t in root.iter(f"{SVG}title"))


def test_hostile_names_are_words_in_mermaid() -> None:
    text = str(draw(hostile(), format="mmd"))
    for line in text.splitlines()[1:]:
        assert re.fullmatch(
            r"    (n\d+[\[({]+\"([^\"<>`|$\\;%]|#\d+;|<br/>)*\"[\])}]+:::\w+"
            r"|n\d+ (-->|---|-\.->)(\|\"([^\"<>`|$\\;%]|#\d+;)*\"\|)? n\d+"
            r"|classDef [\w ]+[\w:#, -]+)",
            line,
        ), line


def test_hostile_names_are_words_in_dot() -> None:
    text = str(draw(hostile(), format="dot"))
    assert "<script>" not in text
    assert not re.search(r"\b(URL|href|image|shapefile)=", text)
    shown = figure(factor_graph(hostile()))
    assert not isinstance(layout(text, len(shown.links)), Diagnostic)


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_hostile_names_survive_the_other_formats(format: str) -> None:
    assert len(draw(hostile(), format=format)) > 1000


def test_other_scripts_are_drawn_and_told_of() -> None:
    model = models.sparse_coding(y="変数")
    assert picture(model, "svg").diagnostics == ()
    (warning,) = picture(model, "pdf").diagnostics
    assert (warning.code, warning.severity) == ("EB0854", "warning")
    assert "変 数" in warning.message


def test_a_long_term_is_cut_in_the_picture_and_whole_in_its_title() -> None:
    long = " + ".join(f"|z_{i}|" for i in range(300))
    model = models.sparse_coding()
    model = models.model("long", model.symbols, (models.term(long, model.terms[1].node),), dims=model.dims)
    root = ElementTree.fromstring(str(draw(model)))
    assert f"energy {long}" in [t.text for t in root.iter(f"{SVG}title")]
    assert float(root.get("width", "0")) < 700


def test_many_terms_are_no_trouble() -> None:
    base = models.sparse_coding()
    model = models.model("many", base.symbols, base.terms * 60, dims=base.dims)
    root = ElementTree.fromstring(str(draw(model)))
    assert len([g for g in root.iter(f"{SVG}g") if g.get("class") == "energy"]) == 120


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("||y - W z||^2", "‖y − W z‖²"),
        ("W' W y", "Wᵀ W y"),
        ("x^10 >= 0", "x^10 ≥ 0"),
        ("x^2.5", "x^2.5"),
        ("λ|z|", "λ|z|"),
    ],
)
def test_pretty(text: str, shown: str) -> None:
    assert pretty(text) == shown


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("min_z E", ["min", "z", " E"]),
        ("Σ_n z_n²", ["Σ", "n", " z", "n", "²"]),
        ("a_{i,j}^{-1} b", ["a", "i,j", "-1", " b"]),
        ("x_1, y", ["x", "1", ", y"]),
        ("min_z,w E", ["min", "z,w", " E"]),
        ("x_ ^ y", ["x_ ^ y"]),
        ("a_{", ["a", "{"]),
        ("", []),
    ],
)
def test_subscripts_and_exponents(text: str, pieces: list[str]) -> None:
    assert [r.text for r in runs(text)] == pieces
    assert all((r.rise != 0) == (r.scale != 1) for r in runs(text))


def test_wrap() -> None:
    assert wrap("a" * 10, 32) == ("a" * 10,)
    rows = wrap("‖y − W z‖² + " * 20, 32, 3)
    assert len(rows) == 3 and all(len(r) <= 32 for r in rows) and rows[-1].endswith("…")


# --------------------------------------------------------------------------- files


@pytest.mark.parametrize("format", FORMATS)
def test_the_extension_decides_and_the_file_is_what_is_given_back(format: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{format.upper()}"
    content = draw(models.pca(), path)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode & 0o044
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["x.jpg", "x", "x.svg.gz", ".svg"])
def test_an_unknown_extension_is_said_and_nothing_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        draw(models.pca(), tmp_path / name)
    (d,) = error.value.diagnostics
    assert d.code == "EB0850" and ".svg, .png, .pdf, .dot, .mmd" in d.help[0]
    assert list(tmp_path.iterdir()) == []
    assert picture(models.pca(), "jpeg").errors[0].code == "EB0850"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    for path in (tmp_path / "nowhere" / "x.svg", tmp_path / "folder.svg"):
        with pytest.raises(SpecError) as error:
            draw(models.pca(), path)
        assert error.value.diagnostics[0].code == "EB0851"
    assert [p.name for p in tmp_path.iterdir()] == ["folder.svg"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.svg"
    path.write_text("before")

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SpecError, match="No space left"):
        draw(models.pca(), path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["x.svg"]


def test_without_a_layout_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebdsl.graph.layout.find_engine", lambda: None)
    assert picture(models.pca(), "svg").errors[0].code == "EB0852"
    assert picture(models.pca(), "dot").errors == ()
    assert picture(models.pca(), "mmd").errors == ()


def test_when_the_layout_engine_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebdsl.graph.layout.find_engine", lambda: sys.executable)  # knows no -Kdot
    (d,) = picture(models.pca(), "svg").errors
    assert d.code == "EB0853"
    assert "Traceback" not in d.message
