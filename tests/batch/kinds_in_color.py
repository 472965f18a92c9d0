"""Kinds of photos whose values are not those of sRGB, or that have more beside their pixels, and what values mean."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.batch.kinds import DEEP, GREY16, PHOTO, Kind, encoded, exact, raw, stored, tiff, with_alpha
from tests.files import spaces
from tests.files.spaces import GREYS, SPACES, SRGB, Space, chromaticities, cicp, gamma, with_chunks
from tests.files.test_about import packet, tiff_of
from tests.helpers import chunk

P3, LINEAR = SPACES["Display P3"], SPACES["linear"]
GREY = PHOTO.convert("L")


def chunked(*chunks: bytes, image: Image.Image = PHOTO) -> Kind:
    wanted = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    return raw(with_chunks(encoded("PNG", image), *chunks), wanted)


def grey(space: Space) -> dict:
    return {"icc_profile": space.profile(b"GRAY")}


def dcf(path: Path) -> np.ndarray:
    """A camera's Adobe RGB."""
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {0xA001: 65535, ExifTags.IFD.Interop: {1: "R03"}}
    return stored(exif=exif)(path)


def avif(path: Path) -> np.ndarray:
    """Display P3 by a code alone."""
    pytest.importorskip("PIL._avif")
    wanted = stored(quality=95)(path)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + b"\0\x0c\0\x0d" + data[at + 4 :])
    return wanted


def tagged(path: Path) -> np.ndarray:
    tiff_of(path, dpi=(300, 300))
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def heic(path: Path) -> np.ndarray:
    pytest.importorskip("pillow_heif")
    return stored(icc_profile=P3.profile())(path)


def indexed() -> Image.Image:
    return PHOTO.quantize(16)


XMP = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet('xmp:Rating="4"'))

COLORED: dict[str, tuple[Kind, Space]] = {
    **{f"{name}.png": (stored(icc_profile=space.profile()), space) for name, space in SPACES.items()},
    "p3, camera.jpg": (stored(icc_profile=P3.profile()), P3),
    "p3, scan.tif": (stored(icc_profile=P3.profile()), P3),
    "p3, lossless.webp": (exact(PHOTO, np.asarray(PHOTO), icc_profile=P3.profile(), lossless=True), P3),
    "p3, phone.heic": (heic, P3),
    "p3, alpha.png": (exact(with_alpha(), np.asarray(with_alpha()), icc_profile=P3.profile()), P3),
    "p3, palette.png": (stored(indexed(), icc_profile=P3.profile()), P3),
    "p3 on grey.jpg": (stored(GREY, icc_profile=P3.profile()), P3),
    "srgb, version 2.png": (stored(icc_profile=SRGB.profile()), SRGB),
    **{f"grey, {name}.png": (stored(GREY, **grey(space)), space) for name, space in GREYS.items()},
    "grey, profile.jpg": (stored(GREY, **grey(GREYS["gamma 1.8"])), GREYS["gamma 1.8"]),
    "grey, profile of a scan.tif": (stored(GREY, **grey(LINEAR)), LINEAR),
    "grey, alpha, profile.png": (stored(with_alpha("LA"), **grey(LINEAR)), LINEAR),
    "grey, 1 bit, profile.png": (stored(PHOTO.convert("1"), **grey(LINEAR)), LINEAR),
    "grey, 16 bit, profile.png": (exact(Image.fromarray(DEEP[..., 0]), GREY16, **grey(LINEAR)), LINEAR),
    "grey, float, profile.tif": (
        tiff((DEEP[..., 0] / 65535).astype(np.float32), GREY16, iccprofile=LINEAR.profile(b"GRAY")),
        LINEAR,
    ),
    "gamma 1.png": (chunked(gamma(1)), LINEAR),
    "gamma and points.png": (
        chunked(gamma(256 / 563), chromaticities(SPACES["Adobe RGB"])),
        SPACES["Adobe RGB"],
    ),
    "points.png": (chunked(chromaticities(P3)), P3),
    "gamma on grey.png": (chunked(gamma(1), image=GREY), LINEAR),
    "gamma and alpha.png": (chunked(gamma(1), image=with_alpha()), LINEAR),
    "impossible gamma.png": (chunked(gamma(0)), SRGB),
    "code p3.png": (chunked(cicp(12, 13)), P3),
    "code linear.png": (chunked(cicp(1, 8)), LINEAR),
    "code rec 2020.png": (chunked(cicp(9, 14)), SPACES["BT.2020"]),
    "unsaid code.png": (chunked(cicp(2, 2)), SRGB),
    "code.avif": (avif, P3),
    "camera's adobe.jpg": (dcf, SPACES["Adobe RGB"]),
    "broken profile.png": (stored(icc_profile=P3.profile()[:200]), SRGB),
    "grey profile on colours.png": (stored(**grey(LINEAR)), SRGB),
    "black profile.png": (stored(icc_profile=spaces.table_profile(b"RGB ", np.zeros((8, 3)))), SRGB),
    "packet.png": (chunked(XMP), SRGB),
    "packet.v2.jpg": (stored(xmp=packet('xmp:Rating="4"')), SRGB),
    "packet that is damaged.jpg": (stored(xmp=b"tiff:Orientation <"), SRGB),
    "dense.png": (stored(dpi=(300, 300)), SRGB),
    "dense.v2.jpg": (stored(dpi=(204, 98)), SRGB),
    "tags.tif": (tagged, SRGB),
}
HDR: dict[str, Kind] = {
    "hdr.png": raw(with_chunks(encoded("PNG"), cicp(9, 16)), "HDR values (PQ), which 8 bits cannot hold"),
    "hdr of tv.png": raw(
        with_chunks(encoded("PNG"), cicp(9, 18)), "HDR values (HLG), which 8 bits cannot hold"
    ),
}
assert len({Path(name).with_suffix("") for name in COLORED | HDR}) == len(COLORED | HDR)
