"""``python -m bench [ITEM ...] [--quick] [--threads 2]``: measure side by side, print ratios, keep them as JSON."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from bench import device, report, rounds

ITEMS = {
    "training_step": "the steady step of generated files against PyTorch by hand; cold and warm start",
    "sparse_codes": "codes of 20,000 patches to a relative gap against SPAMS, scikit-learn and by hand",
    "kmeans": "25 iterations of K-means from the same start against scikit-learn, faiss and by hand",
    "pca": "32 components to the same residual against all solvers of scikit-learn and torch",
    "dictionary": "256 atoms from 100,000 patches to a peer's held-out energy: SPAMS, scikit-learn, by hand",
    "mixture": "50 steps of expectation maximisation against scikit-learn and by hand",
    "ica": "64 independent components to the same energy against FastICA, picard and by hand",
    "argmin": "the gradient of a loss of sparse codes in their dictionary, against two ways by hand",
    "langevin": "a step of Langevin dynamics on a network's energy against torchebm and by hand",
    "conv_codes": "convolutional codes of a 256 x 256 photograph against sporco and by hand",
    "targets": "Inductor and kernels in C++ against the same plan eager; cold and warm starts",
    "regressions": "batches of elastic nets, group lassos, nonnegative and total variation fits",
    "factorisation": "nonnegative factorisation to the best peer's energy against scikit-learn and by hand",
    "compile_time": "check, plan and emit for 10 to 1,000 terms",
    "horizon": "inference along time for 10 to 10,000 steps against scipy's band solver",
    "startup": "check, fmt, explain, draw and compile against importing lark, networkx, sympy",
}


def main(arguments: list[str] | None = None) -> int:
    listed = "\n".join(f"  {name:15} {what}" for name, what in ITEMS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=f"Items:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("items", nargs="*", metavar="ITEM", help="all, where none is named")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run? The numbers mean nothing")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch, 2 where not given")
    parser.add_argument("--on", choices=("cpu", "gpu", "both"), default="both", help="both, where a GPU is found")
    parser.add_argument("--out", type=Path, help="folder of the results, bench/results where not given (--quick: none)")
    given = parser.parse_args(arguments)
    unknown = [i for i in given.items if i not in ITEMS]
    if unknown:
        parser.error(f"there is no item {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    folder = given.out or (None if given.quick else report.RESULTS)
    on = None if given.on == "cpu" else device.available()
    if given.on == "gpu" and on is None:
        parser.error("PyTorch finds no GPU here")
    peak = device.peak(on) if on else None
    for item in given.items or ITEMS:
        module = importlib.import_module(f"bench.items.{item}")
        title, found = f"{item}: {ITEMS[item]}", {}
        if given.on != "gpu":
            rounds.MISSING.clear()
            with rounds.torch_threads(given.threads):
                rows, more = module.run(given.quick, given.threads)
            if rounds.MISSING:
                more = {**more, "peers missing": ", ".join(rounds.MISSING)}
            print(report.table(title, rows))
            print(*(f"  {name}: {value}" for name, value in more.items()), sep="\n")
            found |= report.facts(item, rows, given.threads, more)
        if on and peak and hasattr(module, "on_device"):
            measured = device.measure(module, given.quick, on, peak)
            print(title, device.table(measured, peak, on), sep="\n")
            found |= {"item": item, "device": device.facts(measured, peak, on)}
        print(flush=True)
        if folder is not None and found:
            report.write(item, found, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
