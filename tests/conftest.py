import os
import tempfile

# Tasks read this once, when they are imported: tests never touch the project's own store.
os.environ.setdefault("GALAXYLOOP_STORE", tempfile.mkdtemp(prefix="galaxyloop-store-"))
