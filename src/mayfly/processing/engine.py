"""libvips, started as this project wants it. Imported by workers only."""

import os

# libvips reads these as it starts or at its first image; a worker is exec'd with an empty environment.
os.environ["VIPS_CONCURRENCY"] = "1"  # one process a core beats threads: 11.6 against 7.8 images/s on two cores
os.environ["VIPS_DISC_THRESHOLD"] = str(1 << 40)  # bytes; above any memory limit, so never a temporary file

import pi_heif
import pyvips

from mayfly.model.image import MediaType

LOADERS = {
    MediaType.JPEG: ("jpegload_source", "VipsForeignLoadJpegSource"),
    MediaType.PNG: ("pngload_source", "VipsForeignLoadPngSource"),
    MediaType.WEBP: ("webpload_source", "VipsForeignLoadWebpSource"),
    MediaType.GIF: ("gifload_source", "VipsForeignLoadNsgifSource"),
    MediaType.TIFF: ("tiffload_source", "VipsForeignLoadTiffSource"),
    MediaType.AVIF: ("heifload_source", "VipsForeignLoadHeifSource"),
    MediaType.HEIC: ("heifload_source", "VipsForeignLoadHeifSource"),
}
"""The loader of each type and its class. Named, never sniffed: an UltraHDR JPEG would be given a slower one."""

_WRITERS = (
    "VipsForeignSaveJpegBuffer",
    "VipsForeignSavePngBuffer",
    "VipsForeignSaveWebpBuffer",
    "VipsForeignSaveHeifBuffer",
)


def start() -> None:
    """Set the engine up for a worker: no caches, no threads of its own in libheif, and only the loaders and writers
    named here. Everything else (SVG, PDF, files by name, commands) is blocked for the life of the process."""
    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    for family in ("VipsForeignLoad", "VipsForeignSave", "VipsSystem"):
        pyvips.operation_block_set(family, True)
    for wanted in (*(loader for _, loader in LOADERS.values()), *_WRITERS):
        pyvips.operation_block_set(wanted, False)
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = False
    pi_heif.options.DEPTH_IMAGES = False
    pi_heif.options.AUX_IMAGES = False
