"""``python -m ebdsl`` is the command line."""

from __future__ import annotations

import subprocess
import sys


def test_python_m_ebdsl() -> None:
    done = subprocess.run([sys.executable, "-m", "ebdsl", "explain", "EB0501"], capture_output=True, text=True)
    assert done.returncode == 0 and "EB0501" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "ebdsl", "no_such_verb"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr
