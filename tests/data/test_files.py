"""The user's own files: what is read, and that nothing broken ends in anything but a message."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.diagnostics.catalogue import CATALOGUE
from ebdsl.run.data import files, load
from tests.data.specs import Word, got, refused, spec

PAIR = "x : R[1]", "y : R[B]"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(name: str, x: object) -> str:
    np.save(name, np.asarray(x), allow_pickle=True)
    return name


def text(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 9))


# --------------------------------------------------------------------------- arrays


def test_npy_is_mapped_and_left_as_it_is() -> None:
    data = got(saved("a.npy", X))
    assert isinstance(data.arrays["y"], np.memmap) and data.arrays["y"].dtype == np.float64
    np.testing.assert_array_equal(data.arrays["y"], X)
    assert "a.npy" in data.describe and "50 x 9" in data.describe and data.image_shapes == {}


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i1", "u2", "i8", "?"])
def test_npy_of_any_number(dtype: str) -> None:
    x = (X > 0).astype(dtype)
    np.testing.assert_array_equal(got(saved("a.npy", x)).arrays["y"], x)
    np.testing.assert_array_equal(got(saved("a.npy", np.asfortranarray(x))).arrays["y"], x)


def test_npy_preprocessed_is_float32_in_memory() -> None:
    y = got(Word("file", (saved("a.npy", X),), (("centre", True),))).arrays["y"]
    assert not isinstance(y, np.memmap) and y.dtype == np.float32
    np.testing.assert_allclose(y, X - X.mean(axis=0), atol=1e-6)


def test_shapes_are_folded_and_flattened() -> None:
    cube = saved("c.npy", X.reshape(50, 3, 3))
    assert got(cube).arrays["y"].shape == (50, 9)
    assert got(cube, "y : R[H, W]").sizes == {"H": 3, "W": 3}
    flat = saved("a.npy", X)
    assert got(flat, "y : R[3, K]").arrays["y"].shape == (50, 3, 3)
    assert got(f'file("{flat}", size = 3)').image_shape == (3, 3)
    assert got(saved("v.npy", X[:, 0]), "y : R").arrays["y"].shape == (50,)
    assert got(saved("v.npy", X[:, :1]), "y : R").arrays["y"].shape == (50,)
    assert got(saved("v.npy", X[:, 0])).arrays["y"].shape == (50, 1)


def test_one_hot_from_whole_numbers() -> None:
    x = got(saved("k.npy", [2, 0, 1, 2]), "c : onehot[K]")
    np.testing.assert_array_equal(x.arrays["c"], np.eye(3)[[2, 0, 1, 2]])
    assert x.sizes == {"K": 3}
    assert refused(saved("k.npy", [5, 0]), "c : onehot[K]", dims="K = 3")[0] == "EB0601"


def test_npz_by_key_with_labels() -> None:
    np.savez("p.npz", y=X, x=X[:, :1], labels=np.arange(50))
    data = got("p.npz", *PAIR)
    np.testing.assert_allclose(data.arrays["y"], X, atol=1e-6)
    assert data.arrays["x"].shape == (50, 1) and data.labels.tolist() == list(range(50))
    np.savez_compressed("one.npz", whatever=X)
    assert got("one.npz").arrays["y"].shape == (50, 9)


def test_one_array_is_cut_into_columns() -> None:
    data = got(saved("a.npy", X), *PAIR)
    assert data.arrays["x"].shape == (50, 1) and data.sizes == {"B": 8}
    code, message = refused(saved("a.npy", X), "x : R[1]", "y : R[3]")
    assert code == "EB0609" and "9 columns" in message and "1 + 3" in message
    assert refused(saved("a.npy", X), "x : R[A]", "y : R[B]")[0] == "EB0609"


def test_a_relative_path_also_starts_at_the_spec(here: Path) -> None:
    (here / "deep").mkdir()
    saved("deep/a.npy", X)
    model = spec("y : R[D]", name=str(here / "deep" / "m.ebm"))
    assert load("a.npy", model).value is not None
    assert load(here / "deep" / "a.npy", model).value is not None
    assert refused("a.npy")[0] == "EB0604"


def test_the_held_out_of_a_large_file_are_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebdsl.run.data.loading.IN_MEMORY", 10)
    data = got(saved("a.npy", X), holdout=0.2)
    assert isinstance(data.arrays["y"], np.memmap) and "last 10" in data.describe
    np.testing.assert_array_equal(data.held_out["y"], X[40:])


def test_bytes_are_kept_with_a_warning() -> None:
    saved("u.npy", RNG.integers(256, size=(20, 8, 8), dtype=np.uint8))
    checked = load("u.npy", spec("y : R[D]"))
    assert [d.code for d in checked.diagnostics] == ["EB0613"] and checked.value.arrays["y"].dtype == np.uint8
    assert checked.value.image_shape == (8, 8)
    unit = load('file("u.npy", scale = unit)', spec("y : R[D]"))
    assert not unit.diagnostics and unit.value.arrays["y"].max() == 1


# --------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "1,2\n3,4\n"),
        ("a.csv", "1,2\r\n3,4"),
        ("a.csv", "\n1 , 2\n\n3,4\n\n"),
        ("a.csv", "y1,y2\n1,2\n3,4\n"),
        ("a.csv", "﻿y1,y2\n1,2\n3,4\n"),
        ("a.csv", "1;2\n3;4\n"),
        ("a.csv", '"1","2"\n"3","4"\n'),
        ("a.csv", ",y1,y2\n0,1,2\n1,3,4\n"),
        ("a.csv", ",p,q\n0,1,2\n1,3,4\n"),
        ("a.csv", "y[2],name,y[1]\n2,ann,1\n4,bob,3\n"),
        ("a.csv", "y10,y9\n2,1\n4,3\n"),
        ("a.tsv", "1\t2\n3\t4\n"),
        ("a.csv", "1e0,+2\n3.0,.4e1\n"),
    ],
)
def test_tables(name: str, content: str) -> None:
    np.testing.assert_array_equal(got(text(name, content)).arrays["y"], [[1, 2], [3, 4]])


def test_columns_by_name_and_labels() -> None:
    table = text("t.csv", "y2,class,x,y1\n1,b,2,3\n4,a,5,6\n")
    data = got(table, *PAIR)
    np.testing.assert_array_equal(data.arrays["x"], [[2], [5]])
    assert data.arrays["y"].shape == (2, 2) and data.labels.tolist() == [1, 0]
    pixels = got(text("m.csv", "label,p0,p1\n7,0,1\n2,1,0\n"))
    assert pixels.labels.tolist() == [7, 2] and pixels.arrays["y"].shape == (2, 2)
    assert got('file("m.csv", labels = p0)').labels.tolist() == [0, 1]
    assert refused('file("m.csv", labels = p9)')[0] == "EB0603"
    assert got(text("n.csv", "1,2\n3,4\n") and 'file("n.csv", header = true)').arrays["y"].shape == (1, 2)


def test_quick_and_careful_readers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    table = text("big.csv", "\n".join(",".join(repr(float(v)) for v in row) for row in X))
    quick = got(table).arrays["y"]

    def no(*args: object) -> None:
        raise ValueError

    monkeypatch.setattr("ebdsl.run.data.tables._quick", no)
    np.testing.assert_array_equal(quick, got(table).arrays["y"])


def test_parquet() -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"y1": [1.0, 3.0], "y2": [2, 4], "label": ["b", "a"]}), "t.parquet")
    data = got("t.parquet")
    np.testing.assert_array_equal(data.arrays["y"], [[1, 2], [3, 4]])
    assert data.labels.tolist() == [1, 0]
    pq.write_table(pa.table({"y": [[1.0, 2.0], [3.0, 4.0]]}), "v.parquet")
    np.testing.assert_array_equal(got("v.parquet").arrays["y"], [[1, 2], [3, 4]])
    pq.write_table(pa.table({"y": [[1.0, 2.0], [3.0]]}), "r.parquet")
    assert refused("r.parquet")[0] == "EB0604"
    pq.write_table(pa.table({"a": [1.0, None], "b": ["x", "y"]}), "s.parquet")
    assert refused("s.parquet")[0] == "EB0606" and "column b, row 0" in refused("s.parquet")[1]
    pq.write_table(pa.table({"a": [1.0, None]}), "n.parquet")
    assert refused("n.parquet")[0] == "EB0605"
    assert refused(text("junk.parquet", b"PAR1" + bytes(50)))[0] == "EB0604"


def test_parquet_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.split(".")[0] in ("pyarrow", "fastparquet", "pandas"):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    code, message = refused(text("t.parquet", b"PAR1"))
    assert code == "EB0610" and "pyarrow" in message


# --------------------------------------------------------------------------- folders of pictures


def pictures_in(folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for i in range(3):
            image.fromarray(RNG.integers(256, size=(20 + i, 30, 3), dtype=np.uint8)).save(folder / kind / f"{i}.png")


def test_folders(here: Path) -> None:
    pictures_in(here / "pics")
    grey = got("pics")
    assert grey.arrays["y"].shape == (6, 600) and grey.image_shape == (20, 30)
    assert grey.labels.tolist() == [0, 0, 0, 1, 1, 1] and "4 of them cut" in grey.describe
    assert grey.arrays["y"].min() >= 0 and 0.5 < grey.arrays["y"].max() <= 1
    assert got("./pics", "y : R[3, H, W]").arrays["y"].shape == (6, 3, 20, 30)
    assert got(here / "pics", "y : R[10, 12]").arrays["y"].shape == (6, 10, 12)
    assert got("pics", dims="D = 64").arrays["y"].shape == (6, 64)
    assert got('file("pics", size = 5)').arrays["y"].shape == (6, 25)
    assert got('patches("./pics", size = 4, count = 10)').arrays["y"].shape == (10, 16)


def test_pictures_by_value(here: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (here / "p").mkdir()
    image.fromarray(np.array([[0, 255], [51, 102]], np.uint8)).save("p/a.png")
    text("p/b.pgm", b"P5\n2 2\n255\n" + bytes([255, 0, 0, 0]))
    text("p/notes.txt", "not a picture")
    np.testing.assert_allclose(got("p").arrays["y"], [[0, 1, 0.2, 0.4], [1, 0, 0, 0]], atol=1e-6)


def test_links_in_folders(here: Path) -> None:
    pictures_in(here / "pics")
    (here / "pics/cat/again.png").symlink_to(here / "pics/cat/0.png")
    (here / "pics/cat/nowhere.png").symlink_to(here / "gone.png")
    (here / "pics/loop").symlink_to(here / "pics")
    assert len(got("pics")) == 6


# --------------------------------------------------------------------------- what is broken


def bomb() -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10)})
    return header.getvalue()


def zipped(name: str, member: bytes) -> str:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("y.npy", member)
    return name


def npz_of(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{k: np.asarray(v) for k, v in arrays.items()})
    return out.getvalue()


def npy_of(x: object) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(x), allow_pickle=True)
    return out.getvalue()


WITH_NAN = np.where(np.arange(450).reshape(50, 9) == 66, np.nan, X)
WITH_INF = np.where(np.arange(450).reshape(50, 9) == 9, np.inf, X)

BROKEN: dict[str, tuple[str, bytes, str, tuple[str, ...]]] = {
    "objects": ("a.npy", npy_of(np.array([1, "a", None], dtype=object)), "EB0606", ("Python objects",)),
    "complex": ("a.npy", npy_of(np.zeros((3, 2), complex)), "EB0606", ("complex",)),
    "words": ("a.npy", npy_of(["a", "b"]), "EB0606", ("text",)),
    "records": ("a.npy", npy_of(np.zeros(3, "f4,i4")), "EB0606", ("records",)),
    "dates": ("a.npy", npy_of(np.zeros(3, "M8[s]")), "EB0606", ("dates",)),
    "no samples": ("a.npy", npy_of(np.zeros((0, 3))), "EB0607", ("0 x 3",)),
    "no entries": ("a.npy", npy_of(np.zeros((3, 0))), "EB0607", ("3 x 0",)),
    "a scalar": ("a.npy", npy_of(3.0), "EB0607", ("single number",)),
    "cut short": ("a.npy", npy_of(X)[:500], "EB0604", ("cut short", "3600 bytes")),
    "huge header": ("a.npy", bomb(), "EB0604", ("cut short",)),
    "no header": ("a.npy", b"\x93NUMPY\x01\x00\x0a\x00{'descr':(", "EB0604", ("header",)),
    "other version": ("a.npy", b"\x93NUMPY\x09\x00\x0a\x00{}        ", "EB0604", ("header",)),
    "deep header": ("a.npy", b"\x93NUMPY\x01\x00\x88\x13" + b"(" * 5000, "EB0604", ("header",)),
    "noise": ("a.npy", bytes(range(256)), "EB0604", ("not an array",)),
    "nothing": ("a.npy", b"", "EB0607", ("empty",)),
    "NaN": ("a.npy", npy_of(WITH_NAN), "EB0605", ("sample 7", "entry 3", "NaN")),
    "inf": ("a.npy", npy_of(WITH_INF), "EB0605", ("sample 1", "infinite")),
    "too large": ("a.csv", b"1,2\n3,-9e99\n", "EB0605", ("sample 1", "entry 1", "too large")),
    "both": ("a.npy", npy_of(np.where(np.isnan(WITH_NAN), np.nan, WITH_INF)), "EB0605", ("1 more sample",)),
    "zip cut short": ("a.npz", npz_of(y=X)[:300], "EB0604", ("cut short",)),
    "zip of noise": ("a.npz", bytes(range(256)), "EB0604", ("not an .npz",)),
    "zip of objects": ("a.npz", npz_of(y=np.array([None])), "EB0606", ("Python objects",)),
    "zip of nothing": ("a.npz", npz_of(), "EB0607", ("no arrays",)),
    "zip with a scalar": ("a.npz", npz_of(y=3.0), "EB0607", ("single number",)),
    "lengths differ": ("a.npz", npz_of(x=X[:, :1], y=X[1:]), "EB0612", ("x has 50", "y has 49")),
    "a bad cell": ("a.csv", b"a,b\n1,2\n3,n/a\n", "EB0606", ("line 3", "column 2", "'n/a'")),
    "an empty cell": ("a.csv", b"1,2\n3,\n", "EB0606", ("line 2", "column 2", "empty cell")),
    "a bad first line": ("a.csv", b"1,foo\n2,3\n", "EB0606", ("line 1", "column 2", "header = true")),
    "ragged": ("a.csv", b"1,2,3\n1,2\n", "EB0604", ("line 2", "2 columns", "3")),
    "ragged below a header": ("a.csv", b"a,b\n1,2,3\n", "EB0604", ("line 2", "3 columns")),
    "blank": ("a.csv", b"\n\n  \n", "EB0607", ("no samples",)),
    "only a header": ("a.csv", b"a,b\n", "EB0607", ("header",)),
    "not text": ("a.csv", bytes(range(256)), "EB0604", ("not text",)),
    "a zero byte": ("a.csv", b"1,2\0\n3,4\n", "EB0604", ("not text",)),
    "latin-1": ("a.csv", "é,b\n1,2\n".encode("latin-1"), "EB0604", ("not text",)),
    "open quotes": ("a.csv", b'1,"2\n' + b"3,4\n" * 50_000, "EB0604", ("quotation mark",)),
    "NaN in a table": ("a.csv", b"1,2\nnan,3\n", "EB0605", ("sample 1", "entry 0")),
    "names of iris": ("a.csv", b"a,b,species\n1,2,setosa\n", "EB0606", ("'setosa'", "column 3")),
    "another kind": ("a.txt", b"hello", "EB0604", (".txt", ".npy")),
    "no kind": ("plain", b"hello", "EB0604", ("without an ending",)),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(case: str) -> None:
    name, content, code, says = BROKEN[case]
    observed = PAIR if case == "lengths differ" else ()
    found, message = refused(f"./{text(name, content)}", *observed)
    assert found == code
    for words in says:
        assert words in message
    assert "Error" not in message and "<" not in message


def test_a_bomb_is_not_unpacked() -> None:
    code, message = refused(zipped("bomb.npz", bomb() + bytes(1000)))
    assert code == "EB0611" and "MiB" in message


def test_a_picture_bomb_is_not_unpacked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures_in(here / "pics")
    monkeypatch.setattr("ebdsl.run.data.pictures.MOST_PIXELS", 100)
    assert refused("pics")[0] == "EB0611"
    text("pics/cat/1.pgm", b"P5\n99999 99999\n255\n")
    monkeypatch.setattr("ebdsl.run.data.pictures.MOST_PIXELS", 10_000)
    assert refused("pics")[0] in ("EB0604", "EB0611")


def test_broken_pictures(here: Path) -> None:
    pytest.importorskip("PIL")
    (here / "bad").mkdir()
    assert refused("bad")[0] == "EB0607"
    text("bad/a.png", b"\x89PNG\r\n\x1a\n" + bytes(40))
    code, message = refused("bad")
    assert code == "EB0604" and "a.png" in message
    text("bad/a.png", b"")
    assert refused("bad")[0] == "EB0604"


def test_paths_that_lead_nowhere(here: Path) -> None:
    saved("real.npy", X)
    assert "real.npy" in refused("rael.npy")[1]
    Path("dangling.npy").symlink_to("nothing.npy")
    assert "which is not there" in refused("dangling.npy")[1]
    Path("a.npy").symlink_to("b.npy")
    Path("b.npy").symlink_to("a.npy")
    assert "leads back to itself" in refused("a.npy")[1]
    Path("good.npy").symlink_to("real.npy")
    assert len(got("good.npy")) == 50
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe.npy")
        assert "a pipe" in refused("pipe.npy")[1]
    for name in ("", "\0", "x" * 5000 + ".npy", "/dev/null", "~nobody-of-that-name/x.npy", "no/such/folder/x.npy"):
        assert refused(Word("file", (name,)))[0] == "EB0604"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_file_that_may_not_be_read() -> None:
    Path(saved("a.npy", X)).chmod(0)
    assert refused("a.npy")[0] == "EB0604"


# --------------------------------------------------------------------------- domains


def test_values_outside_the_domain() -> None:
    grey = saved("g.npy", np.array([[0, 1], [0, 0.35]]))
    code, message = refused(grey, "y : {0,1}[2]")
    assert code == "EB0608" and "sample 1" in message and "0.35 at entry 1" in message and "threshold = 0.5" in message
    assert got(f'file("{grey}", threshold = 0.3)', "y : {0,1}[2]").arrays["y"].tolist() == [[0, 1], [0, 1]]
    code, message = refused(saved("p.npy", np.array([[0.5, 0.5], [0.5, 0.4]])), "y : simplex[2]")
    assert code == "EB0608" and "sample 1" in message and "sum 0.9" in message
    assert refused(saved("b.npy", np.array([[0.0], [3.0]])), "y : box(-1, 1)[1]")[0] == "EB0608"
    assert refused(saved("n.npy", np.array([[1.0], [-3.0]])), "y : R[1], >= 0")[0] == "EB0608"


def test_the_first_bad_sample_is_found_far_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebdsl.run.data.values.CHUNK", 64)
    x = np.zeros((1000, 3))
    x[617, 2], x[618, 0], x[900, 1] = 7, 8, np.nan
    assert "sample 900" in refused(saved("x.npy", x))[1]
    x[900, 1] = 0
    assert "sample 617 of the data has 7 at entry 2" in refused(saved("x.npy", x), "y : {0,1}[3]")[1]


def test_misfits_are_told_together() -> None:
    np.savez("p.npz", x=X[:, :2], y=X[:, :3])
    checked = load("p.npz", spec("x : R[1]", "y : R[N]", dims="N = 4"))
    assert [d.code for d in checked.errors] == ["EB0601", "EB0601"]
    assert "y is R[N] with N = 4, data is 50 x 3" in checked.errors[1].message
    shared = load("p.npz", spec("x : R[N]", "y : R[N]")).errors[0]
    assert "N = 2, because x is R[N] and its data is 50 x 2" in shared.help
    np.savez("q.npz", a=X, b=X, c=X)
    assert refused("q.npz", *PAIR)[0] == "EB0609"


# --------------------------------------------------------------------------- anything at all


@settings(max_examples=60, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(alphabet="0123456789.,;\t\n\"' eE+-naif", max_size=200).map(str.encode),
        st.integers(0, 3000).map(lambda n: npy_of(X)[:n]),
        st.integers(0, 3000).map(lambda n: npz_of(y=X)[:n]),
    ),
    suffix=st.sampled_from(sorted(files.READERS)),
)
def test_no_file_is_too_strange(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("f") / f"x{suffix}"
    path.write_bytes(content)
    checked = load(path, spec("y : R[D]"))
    assert (checked.value is None) == bool(checked.errors)
    assert all(d.code in CATALOGUE and d.message for d in checked.diagnostics)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_no_name_is_too_strange(name: str) -> None:
    checked = load(name, spec("y : R[D]"))
    assert all(d.code in CATALOGUE for d in checked.diagnostics)
