"""What a file says of its colours, be it by an ICC profile or in other words, as an ICC profile."""

from collections.abc import Mapping
from functools import lru_cache

from PIL import ExifTags, Image

from unistyle.errors import ImageError
from unistyle.files.colors.boxes import Code, coded, icc_of_jp2
from unistyle.files.colors.icc import ADOBE_RGB, D65, REC709, Chromaticities, curve, gamma_curve, rgb_profile

SRGB, UNSAID, FULL = 13, 2, 1  # a transfer; a transfer or primaries; a range (ITU-T H.273)
SRGB_CURVE = curve(2.4, 0.055, 12.92, 0.04045)
REC709_CURVE = curve(1 / 0.45, 0.099, 4.5, 0.081)
# ITU-T H.273, tables 2 and 3.
PRIMARIES: dict[int, Chromaticities] = {
    1: REC709,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
TRANSFERS = {
    **dict.fromkeys((1, 6, 14, 15), REC709_CURVE),
    4: gamma_curve(2.2),
    5: gamma_curve(2.8),
    7: curve(1 / 0.45, 0.1115, 4, 0.0912),
    8: gamma_curve(1),
    SRGB: SRGB_CURVE,
}
HDR = {16: "PQ", 18: "HLG"}
GAMMAS = (0.1, 10)  # what a PNG may say; other numbers are errors


def declared(image: Image.Image) -> bytes | None:
    """The profile of an image that Pillow has opened; None where it says nothing, or sRGB.

    To be called before the pixels are loaded, after which Pillow closes the file. Which goes before which is as in the
    specifications: of PNG (3rd edition, 4.3) cICP, iCCP, sRGB, then gAMA and cHRM; of HEIF and AVIF the profile, then
    the code. A camera's Adobe RGB is told by EXIF (DCF 2.0). Raises ImageError for HDR values, which 8 bits cannot
    hold.
    """
    profile = image.info.get("icc_profile")
    profile = profile if isinstance(profile, bytes) and profile else None
    code = coded(image)
    if code and UNSAID not in code[:2] and (profile is None or image.format == "PNG"):
        return _of_code(code, profile)
    if profile is None and image.format == "JPEG2000":
        profile = icc_of_jp2(image)
    return profile or _of_png(image.info) or _dcf(image)


def _of_code(code: Code, profile: bytes | None) -> bytes | None:
    """profile: what the file has besides, for programs that do not know the code."""
    primaries, transfer, full = code
    if profile is None and transfer in HDR:
        raise ImageError(
            f"HDR values ({HDR[transfer]}), which 8 bits cannot hold; save it as sRGB or Display P3"
        )
    if (primaries, transfer) == (1, SRGB) and full == FULL:
        return None
    if primaries not in PRIMARIES or transfer not in TRANSFERS or full != FULL:
        return profile
    return rgb_profile(f"CICP {primaries}/{transfer}", TRANSFERS[transfer], PRIMARIES[primaries])


def _of_png(info: Mapping) -> bytes | None:
    """By gamma and chromaticities. As in browsers, what is missing of the two is that of sRGB."""
    gamma, where = info.get("gamma"), info.get("chromaticity")
    gamma = gamma if isinstance(gamma, float) and GAMMAS[0] <= gamma <= GAMMAS[1] else None
    where = tuple(where) if isinstance(where, tuple) and len(where) == 8 else None
    if "srgb" in info or (gamma is None and where is None):
        return None
    return _of_gamma(gamma, where)


@lru_cache(maxsize=64)
def _of_gamma(gamma: float | None, where: Chromaticities | None) -> bytes | None:
    tone = SRGB_CURVE if gamma is None else gamma_curve(1 / gamma)
    try:
        return rgb_profile("PNG gAMA and cHRM" if gamma else "PNG cHRM", tone, where or REC709)
    except ValueError:
        return rgb_profile("PNG gAMA", tone) if gamma else None


def _dcf(image: Image.Image) -> bytes | None:
    exif = image.info.get("exif")
    if not isinstance(exif, bytes) or b"R03" not in exif:
        return None
    try:
        found = image.getexif().get_ifd(ExifTags.IFD.Interop)
        said = str(found.get(ExifTags.Interop.InteropIndex, "")).strip("\0 ")
    except Exception:  # EXIF that is damaged in any way
        return None
    return rgb_profile("As Adobe RGB (1998)", gamma_curve(563 / 256), ADOBE_RGB) if said == "R03" else None
