import os
import tempfile

# Tasks read this once, when they are imported: tests never touch the project's own store, and
# those that run beside one another do not share one.
if "GALAXYLOOP_STORE" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["GALAXYLOOP_STORE"] = tempfile.mkdtemp(prefix="galaxyloop-store-")
# Two processes of as many threads as there are cores wait for one another most of the time.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
