"""One file each: ``run(quick, threads)`` gives rows and further facts."""
