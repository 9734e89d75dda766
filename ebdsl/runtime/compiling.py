"""C++ that a run compiles for itself, kept between runs. The standard library alone; copied into generated files."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path


def cache_folder() -> Path:
    """``$EBDSL_CACHE_DIR``, or ``ebdsl`` where the system keeps caches of this user."""
    given = os.environ.get("EBDSL_CACHE_DIR")
    if given:
        return Path(given)
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ebdsl"


def processor() -> str:
    """The model of the processor and what it can do, as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(x for x in lines if x.startswith(wanted)))


def cpp_compiler() -> str | None:
    """``$CXX``, or the first of g++, clang++ and c++ that there is; None on Windows."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++") if os.name == "posix" else ()
    return next((found for name in names if name and (found := shutil.which(name))), None)


@functools.cache
def shared_library(source: str) -> ctypes.CDLL | None:
    """What ``source`` compiles to for this processor; None, after one warning, where that fails.

    It lies in the cache folder under a digest of the source, the compiler and the processor, so that it is never stale.
    """
    compiler = cpp_compiler()
    if compiler is None:
        warnings.warn("There is no C++ compiler, so kernels run through PyTorch.", stacklevel=2)
        return None
    flags = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]
    flags += ["-ffinite-math-only", "-std=c++17", "-pthread", "-shared", "-fPIC"]
    digest = hashlib.sha256("\0".join([source, compiler, *flags, processor()]).encode()).hexdigest()[:16]
    kept = cache_folder() / "compiled" / f"native-{digest}.so"
    try:
        if kept.exists():
            try:
                return ctypes.CDLL(str(kept))
            except OSError:  # damaged: written anew
                kept.unlink()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as room:
            new = Path(room) / "new.so"
            command = [compiler, *flags, "-x", "c++", "-", "-o", str(new)]
            subprocess.run(command, input=source.encode(), check=True, capture_output=True, timeout=120)
            new.replace(kept)
        return ctypes.CDLL(str(kept))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        reason = (said.decode(errors="replace").strip().splitlines() or [type(error).__name__])[0]
        warnings.warn(f"C++ failed, so kernels run through PyTorch: {reason[:200]}", stacklevel=2)
        return None
