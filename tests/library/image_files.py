"""Image files made for tests, good and bad."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from galaxyloop.surveys.fingerprints import fingerprint_images
from galaxyloop.surveys.manifest import IngestConfig


def galaxy_pixels(seed: int, height: int = 96, width: int = 96, n_bands: int = 3) -> np.ndarray:
    """Smooth random pixels, so that JPEG keeps them nearly as they are."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, n_bands)).astype(np.uint8)
    return np.atleast_3d(cv2.GaussianBlur(noise, (0, 0), 2))


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG of RGB, RGBA or grey pixels, 8 or 16 bits."""
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3], 1: [0]}[pixels.shape[2]]
    return cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, order]))[1].tobytes()


def jpeg_bytes(pixels: np.ndarray, quality: int = 95) -> bytes:
    """A JPEG of RGB pixels."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), options)[1].tobytes()


def bomb_bytes(side: int) -> bytes:
    """A PNG of a few bytes whose header announces ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def good_files(n: int) -> dict[str, bytes]:
    """So many sound files, JPEG and PNG in turn."""
    return {f"g{i:02}": (jpeg_bytes if i % 2 else png_bytes)(galaxy_pixels(i)) for i in range(n)}


def write_chunk(
    folder: Path, contents: dict[str, bytes], fingerprint: str = "content"
) -> pd.DataFrame:
    """Write files and give the chunk that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    uris = [str(folder / name) for name in contents]
    return chunk_of(list(contents), uris, fingerprint)


def chunk_of(ids: list[str], uris: list[str], fingerprint: str = "content") -> pd.DataFrame:
    """The chunk of images at the given locations."""
    return pd.DataFrame(
        {
            "id_str": ids,
            "image_uri": uris,
            "ra_deg": 10.0,
            "dec_deg": -5.0,
            "survey": "s",
            "group_id": ids,
            "image_digest": fingerprint_images(uris, IngestConfig(fingerprint=fingerprint)),
        }
    )


def write_packed(
    path: Path,
    contents: Sequence[bytes | None],
    kind: str = "struct",
    rows_a_group: int = 10,
    **columns: list[str],
) -> list[str]:
    """Write a table of images and give their locations; struct is how Hugging Face packs them."""
    paths = [f"{i}.jpg" for i in range(len(contents))]
    cells = pa.array(list(contents), pa.large_binary() if kind == "large_binary" else pa.binary())
    if kind == "struct":
        cells = pa.StructArray.from_arrays([cells, pa.array(paths)], ["bytes", "path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({**columns, "image": cells})
    pa.parquet.write_table(table, path, row_group_size=rows_a_group)
    return [f"{path}#image/{row}" for row in range(len(contents))]
