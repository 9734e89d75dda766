"""The folder that a run leaves: spec.ebm, model.py, run.json, metrics.jsonl, tb/, checkpoints/, pictures/.

Where the training data was prepared, preprocessing.safetensors has the numbers.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ebdsl.run.files import make_folder, read_bytes, refuse, unwritable, write_atomically

FORMAT = "ebdsl run 1"
OURS = (
    "run.json",
    "spec.ebm",
    "model.py",
    "preprocessing.safetensors",
    "metrics.jsonl",
    "tb",
    "checkpoints",
    "pictures",
    "samples.npz",
    ".lock",
)


@dataclass(frozen=True)
class Folder:
    """Paths of a run. Nothing is read or written before it is asked for."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        return self.path / "tb"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def spec(self) -> Path:
        return self.path / "spec.ebm"

    @property
    def generated(self) -> Path:
        return self.path / "model.py"

    @property
    def preprocessing(self) -> Path:
        return self.path / "preprocessing.safetensors"

    def facts(self) -> dict[str, Any]:
        """What ``run.json`` says. Raises :class:`SpecError` (EB0812) where this is no run."""
        file = self.path / "run.json"
        if not self.path.exists():
            raise refuse("EB0812", f"there is no run {self.path}", *self._hint())
        if not file.exists():
            what = "no run" if self.path.is_dir() else "a file and no run"
            raise refuse("EB0812", f"{self.path} is {what}: it has no run.json", *self._hint())
        try:
            facts = json.loads(read_bytes(file, 2**24))
        except (ValueError, RecursionError):
            raise refuse("EB0812", f"{file} is damaged: it is no JSON", *self._hint()) from None
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise refuse("EB0812", f"{file} was not written by this version of ebdsl", *self._hint())
        wrong = [key for key in ("data", "spec", "status") if not isinstance(facts.get(key, ""), str | None)]
        if wrong:
            raise refuse("EB0812", f"{file} is damaged: {wrong[0]} is no text", *self._hint())
        return facts

    def _hint(self) -> tuple[str, ...]:
        parents = [p for p in (self.path.parent, Path("runs")) if p.is_dir()]
        with contextlib.suppress(OSError):
            names = [str(d) for p in parents for d in sorted(p.iterdir()) if (d / "run.json").is_file()]
            if names:
                return (f"runs that are here: {', '.join(dict.fromkeys(names[:5]))}",)
        return ("a run is the folder that `ebdsl train` leaves",)

    def write_facts(self, facts: dict[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.path / "run.json", text, durable=True)

    def update(self, **changed: Any) -> None:
        self.write_facts({**self.facts(), **changed})

    def sweep(self) -> None:
        """Remove what a killed process had half written. To be called under the lock."""
        for folder in (self.path, self.checkpoints):
            for part in folder.glob(".*.part"):
                with contextlib.suppress(OSError):
                    part.unlink()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process. Raises :class:`SpecError` (EB0813)."""
        try:
            import fcntl
        except ImportError:  # no such locks on Windows
            yield
            return
        try:
            file = (self.path / ".lock").open("a")
        except OSError as error:
            raise unwritable(error, self.path) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise refuse("EB0813", f"another process is training in {self.path}") from None
            except OSError:  # a file system without locks
                pass
            yield


def is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def folder_name(model: str) -> str:
    """A model's name as the name of a folder: no separators, not hidden."""
    return re.sub(r"[^\w.-]", "_", model).strip(".") or "run"


def fresh(out: str | None, name: str, *, force: bool) -> tuple[Folder, Path | None]:
    """A folder for a new run, made; and the unfinished run of that name which it does not touch, if there is one.

    ``out`` None: ``runs/NAME``, then ``runs/NAME-2``, ...; with ``force`` a run that is there is
    replaced. Raises :class:`SpecError` (EB0807, EB0808, EB0810, EB0811).
    """
    if out is None and not force:
        return numbered(name)
    path = Path(out) if out is not None else Path("runs") / name
    if path.exists() and not path.is_dir():
        raise refuse("EB0807", f"{path} is a file: a run wants a folder", "name another folder with --out")
    if path.is_dir() and any_in(path):
        if not is_run(path):
            raise refuse(
                "EB0810", f"{path} holds files that are no run's: {some(path)}", "name another folder with --out"
            )
        if not force:
            raise refuse(
                "EB0811",
                f"{path} holds a run ({status(path)})",
                f"go on with it: ebdsl train {path} --resume",
                "replace it: --force",
            )
        clear(path)
    make_folder(path)
    return Folder(path), None


def numbered(name: str) -> tuple[Folder, Path | None]:
    """The first of ``runs/NAME``, ``runs/NAME-2``, ... that does not exist; making it is what claims it."""
    make_folder(Path("runs"))
    unfinished = None
    for count in itertools.count(1):
        path = Path("runs") / (name if count == 1 else f"{name}-{count}")
        try:
            path.mkdir()
        except FileExistsError:
            if is_run(path) and status(path) != "finished":
                unfinished = path
            continue
        except OSError as error:
            raise unwritable(error, path) from None
        break
    return Folder(path), unfinished


def any_in(path: Path) -> bool:
    try:
        return not path.is_dir() or any(p.name != ".lock" for p in path.iterdir())
    except OSError as error:
        raise unwritable(error, path) from None


def some(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir())
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def status(path: Path) -> str:
    """``training``, ``interrupted``, ``failed`` or ``finished``."""
    from ebdsl.diagnostics import SpecError

    try:
        return str(Folder(path).facts().get("status"))
    except SpecError:
        return "damaged"


def clear(path: Path) -> None:
    """Remove a run's own files, and nothing else. run.json goes last, so that half a removal is still a run."""
    foreign = sorted(p.name for p in path.iterdir() if p.name not in OURS and not p.name.endswith(".part"))
    if foreign:
        raise refuse(
            "EB0810",
            f"{path} holds a run and also {', '.join(foreign[:3])}",
            "move these away, or choose another --out",
        )
    with Folder(path).lock():
        try:
            for name in reversed(OURS[:-1]):
                target = path / name
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(error, path) from None


def latest(name: str) -> Path | None:
    """The run that ``train NAME --resume`` means: of ``runs/NAME``, ``runs/NAME-2``, ... the last that is not finished,
    or the last.
    """
    runs = [p for p in Path("runs").glob("*") if is_run(p) and number(p.name, name)]
    runs.sort(key=lambda p: number(p.name, name))
    return next((p for p in reversed(runs) if status(p) != "finished"), runs[-1] if runs else None)


def number(folder: str, name: str) -> int:
    """1 for ``NAME``, 2 for ``NAME-2``, ..., 0 for any other."""
    if folder == name:
        return 1
    rest = folder.removeprefix(f"{name}-")
    return int(rest) if rest != folder and rest.isdecimal() else 0
