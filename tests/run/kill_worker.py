"""A training process to be killed: ``python kill_worker.py FOLDER`` begins the toy's run or goes on with it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ebdsl.run import checkpoint, train
from ebdsl.run.folder import Folder
from ebdsl.run.options import Options
from ebdsl.run.session import resume, session
from tests.run.toy import toy


def main(path: str) -> None:
    arrays = {"y": np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)}
    options = Options(epochs=60, batch=7, holdout=0.1, device="cpu", checkpoint_steps=9)
    folder = Folder(Path(path))
    live = session(toy(), arrays, options)
    with folder.lock():
        saved, _ = checkpoint.newest(folder.checkpoints)
        if saved is None:
            folder.write_facts({"status": "training"})
            train.go(live, folder, train.Report(), fresh=True)
        else:
            assert resume(live, saved) == ()
            train.go(live, folder, train.Report(), offset=saved.facts["metrics"])


if __name__ == "__main__":
    main(sys.argv[1])
