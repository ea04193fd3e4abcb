"""Images delivered from a server with latency: a packed table against one request an image.

A model of an object store: HTTP on this machine, 25 ms before every answer, no limit of bandwidth.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from benchmarks.file_server import FileServer, serving
from benchmarks.harness import Gate, at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.image_files import ImageFiles, map_in_order

IMAGE_BYTES = 14_000
LATENCY_S = 0.025
N_READERS = 16
ROWS_A_GROUP = 100
SPEED_GATE = 5
"""Set to hold on two shared cores, where the server takes part of them."""
MAX_GETS = 20
"""For a thousand packed images."""


def write_images(folder: Path, n_images: int) -> list[bytes]:
    """As files, and as a table with other columns beside the images."""
    generator = np.random.default_rng(0)
    contents = [generator.bytes(IMAGE_BYTES) for _ in range(n_images)]
    for i, content in enumerate(contents):
        (folder / f"{i}.jpg").write_bytes(content)
    names = pa.array([f"{i}.jpg" for i in range(n_images)])
    images = pa.StructArray.from_arrays([pa.array(contents, pa.binary()), names], ["bytes", "path"])
    table = pa.table({"id_str": names, "image": images, "ra": generator.uniform(size=n_images)})
    pa.parquet.write_table(table, folder / "train-0.parquet", row_group_size=ROWS_A_GROUP)
    return contents


def deliver(uris: Sequence[str]) -> list[bytes]:
    """Each image's bytes, by a reader that has opened nothing yet."""
    readings = ImageFiles(10 * IMAGE_BYTES).in_order(uris)
    return [parts[0].content for parts in map_in_order(lambda read: read(), readings, N_READERS)]


def count(server: FileServer, uris: Sequence[str], contents: list[bytes]) -> tuple[int, int]:
    """Requests and bytes that a delivery takes; it must be the right one."""
    server.forget()
    if deliver(uris) != contents:
        raise RuntimeError(f"{uris[0]} and the {len(uris) - 1} after it are not what was written")
    return server.n_gets, server.n_bytes


def figures(quick: bool) -> tuple[dict[str, object], list[Gate]]:
    """What was measured, and the bounds on it."""
    n_images, n_rounds = (1000, 3) if quick else (3000, 5)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        contents = write_images(folder, n_images)
        with serving(FileServer(folder, LATENCY_S)) as server:
            files = [f"{server.url}/{i}.jpg" for i in range(n_images)]
            cells = [f"{server.url}/train-0.parquet#image/{i}" for i in range(n_images)]
            n_gets, n_bytes = count(server, cells, contents)
            n_gets_of_files, _ = count(server, files, contents)
            ratio = time_pairs(lambda: deliver(files), lambda: deliver(cells), n_rounds)
        local_files = [f"{folder}/{i}.jpg" for i in range(n_images)]
        local_cells = [f"{folder}/train-0.parquet#image/{i}" for i in range(n_images)]
        local = time_pairs(lambda: deliver(local_files), lambda: deliver(local_cells), n_rounds)
    gets_per_1000 = 1000 * n_gets / n_images
    overhead = n_bytes / (n_images * IMAGE_BYTES)
    measured: dict[str, object] = {
        "n_images": n_images,
        "bytes_per_image": IMAGE_BYTES,
        "latency_s": LATENCY_S,
        "gets_per_1000_packed_images": gets_per_1000,
        "gets_per_1000_image_files": 1000 * n_gets_of_files / n_images,
        "bytes_fetched_over_bytes_of_images": overhead,
        "packed_over_one_get_an_image": ratio,
        "packed_images_per_second": n_images / ratio.candidate_s,
        "packed_over_files_on_disk": local,
    }
    gates = [
        at_most("gets_per_1000_packed_images", gets_per_1000, MAX_GETS),
        at_most("bytes_fetched_over_bytes_of_images", overhead, 1.1),
        at_least("packed_over_one_get_an_image", ratio.median, SPEED_GATE),
    ]
    return measured, gates


def main() -> None:
    """Measure, compare, judge."""
    arguments = parse_arguments(__doc__)
    measured, gates = figures(arguments.quick)
    finish("ingest_storage", measured, gates, arguments)


if __name__ == "__main__":
    main()
