"""What the colours of a file are, whatever its values mean: by formulas, or by LittleCMS."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tests.files import spaces
from tests.files.spaces import GREYS, SPACES, SRGB, by_profile, chromaticities, cicp, gamma, with_chunks
from tests.helpers import make_photo
from unistyle.errors import ImageError
from unistyle.files.masks import usable_mask
from unistyle.files.photos import photo_from_pil, read_image, read_mask, read_photo
from unistyle.files.writing import encode_image
from unistyle.styles.codes import style_view

PHOTO = np.asarray(make_photo())
RAMP = np.arange(256, dtype=np.uint8).reshape(8, 32)
P3 = SPACES["Display P3"]


def png(image: Image.Image | None = None, *chunks: bytes, **options) -> bytes:
    """A PNG with chunks."""
    buffer = io.BytesIO()
    (image or make_photo()).save(buffer, "PNG", **options)
    return with_chunks(buffer.getvalue(), *chunks)


def opened(data: bytes):
    return photo_from_pil(Image.open(io.BytesIO(data)))


def near(found, wanted, most: float = 1.1) -> None:
    difference = np.abs(np.asarray(found).astype(float) - wanted)
    assert difference.max() <= most, difference.max()


def assert_seen_alike(photo, wanted: np.ndarray, most: float = 1.1) -> None:
    """As a photo that is to be restyled, and as it stands in results of every lossless format."""
    near(photo.srgb, wanted, most)
    for format in ("png", "webp"):
        with Image.open(io.BytesIO(encode_image(photo.with_rgb(photo.rgb.copy()), format))) as result:
            near(by_profile(result), wanted, most)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
def test_profile_of_rgb(tmp_path, name, ending):
    space = SPACES[name]
    lossless = {"lossless": True} if ending == "webp" else {}
    make_photo().save(tmp_path / f"a.{ending}", icc_profile=space.profile(), **lossless)
    photo = read_photo(tmp_path / f"a.{ending}")
    stored = np.asarray(Image.open(tmp_path / f"a.{ending}"))
    np.testing.assert_array_equal(photo.rgb, stored)
    assert photo.profile == space.profile()
    assert_seen_alike(photo, space.seen(stored))


@pytest.mark.parametrize("mode", ["RGBA", "P", "YCbCr"])
def test_profile_of_other_modes_of_rgb(mode):
    stored = make_photo().convert(mode)
    stored.info["icc_profile"] = P3.profile()
    assert_seen_alike(photo_from_pil(stored), P3.seen(np.asarray(stored.convert("RGB"))))


def lcms_srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("profile", [None, lcms_srgb(), SRGB.profile()], ids=["none", "lcms", "version 2"])
def test_srgb_costs_nothing(profile):
    image = make_photo()
    image.info["icc_profile"] = profile
    photo = photo_from_pil(image)
    assert photo.srgb is photo.rgb
    assert photo.profile == profile


@pytest.mark.parametrize("name", GREYS)
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_profile_of_grey(tmp_path, name, ending):
    """Of values from 0 to 255; the rgb stays as it is, with a profile of RGB of the same curve."""
    space = GREYS[name]
    options = {"quality": 100} if ending == "jpg" else {}
    Image.fromarray(RAMP).save(tmp_path / f"a.{ending}", icc_profile=space.profile(b"GRAY"), **options)
    photo = read_photo(tmp_path / f"a.{ending}")
    stored = np.asarray(Image.open(tmp_path / f"a.{ending}").convert("RGB"))
    np.testing.assert_array_equal(photo.rgb, stored)
    assert photo.profile[16:20] == b"RGB "
    assert_seen_alike(photo, space.seen(stored))


@pytest.mark.parametrize("mode", ["LA", "I;16", "1", "F"])
def test_profile_of_other_modes_of_grey(mode):
    stored = Image.fromarray(RAMP)
    if mode == "I;16":
        stored = Image.fromarray(RAMP.astype(np.uint16) * 257)
    elif mode == "F":
        stored = Image.fromarray(RAMP.astype(np.float32) / 255)
    else:
        stored = stored.convert(mode)
    stored.info["icc_profile"] = GREYS["linear"].profile(b"GRAY")
    values = (RAMP > 127) * 255 if mode == "1" else RAMP
    if mode != "1":  # whose greys are dithered
        assert_seen_alike(photo_from_pil(stored), GREYS["linear"].seen(np.repeat(values[..., None], 3, -1)))
    else:
        assert set(np.unique(photo_from_pil(stored).srgb)) == {0, 255}


def test_grey_that_is_srgb_has_no_profile():
    stored = Image.fromarray(RAMP)
    stored.info["icc_profile"] = SRGB.profile(b"GRAY")
    photo = photo_from_pil(stored)
    assert photo.profile is None
    assert photo.srgb is photo.rgb


def test_grey_profile_of_lab_is_carried_out():
    """Its curve tells of lightness, which no curve of RGB does: values become sRGB."""
    stored = Image.fromarray(RAMP)
    profile = bytearray(GREYS["linear"].profile(b"GRAY"))
    profile[20:24] = b"Lab "
    stored.info["icc_profile"] = bytes(profile)
    photo = photo_from_pil(stored)
    assert photo.profile is None
    lightness = RAMP / 255 * 100
    light = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    near(photo.rgb, spaces.srgb_value(light)[..., None] * 255, 2)


@pytest.mark.parametrize("name", ["linear", "Adobe RGB"])
def test_table_without_a_way_back_is_carried_out(name):
    """Profiles of scanners and cameras may tell of one direction alone."""
    stored = make_photo()
    stored.info["icc_profile"] = spaces.table_profile(b"RGB ", spaces.corners(SPACES[name]))
    photo = photo_from_pil(stored)
    assert photo.profile is None
    wanted = spaces.Space(SPACES[name].points, lambda v: v).seen(PHOTO)
    assert (
        np.abs(np.asarray(photo.srgb) - wanted).mean() < 1
    )  # tables are coarse where linear values are dark


def test_profile_of_cmyk_is_carried_out():
    cmy = np.array([[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)])
    xyz = ((1 - cmy[:, :3]) * (1 - cmy[:, 3:])) @ SRGB.matrix().T
    stored = make_photo().convert("CMYK")
    stored.info["icc_profile"] = spaces.table_profile(b"CMYK", xyz)
    photo = photo_from_pil(stored)
    assert photo.profile is None
    assert np.abs(np.asarray(photo.rgb) - spaces.srgb_value(PHOTO / 255) * 255).mean() < 3


ROWS = {  # chunks, and what they mean
    "gAMA 1": ([gamma(1)], SPACES["linear"]),
    "gAMA 1/2.2": ([gamma(1 / 2.2)], GREYS["gamma 2.2"]),
    "gAMA and cHRM": ([gamma(256 / 563), chromaticities(SPACES["Adobe RGB"])], SPACES["Adobe RGB"]),
    "cHRM": ([chromaticities(P3)], P3),
    "cHRM that no colours have": ([gamma(1), chromaticities(spaces.Space((0.0,) * 8))], SPACES["linear"]),
    "cHRM on one line": ([chromaticities(spaces.Space((*spaces.D65, *(0.3, 0.3) * 3)))], SRGB),
    "gAMA 0": ([gamma(0)], SRGB),
    "gAMA 20000": ([gamma(20000)], SRGB),
    "sRGB before gAMA": ([b"\0\0\0\1sRGB\0\xae\xce\x1c\xe9", gamma(1)], SRGB),
    "cICP P3": ([cicp(12, 13)], P3),
    "cICP linear": ([cicp(1, 8)], SPACES["linear"]),
    "cICP BT.2020": ([cicp(9, 14)], SPACES["BT.2020"]),
    "cICP before gAMA": ([gamma(1), cicp(12, 13)], P3),
    "cICP sRGB before gAMA": ([gamma(1), cicp(1, 13)], SRGB),
    "cICP unsaid": ([cicp(2, 2), gamma(1)], SPACES["linear"]),
    "cICP reserved": ([cicp(200, 13)], SRGB),
}


@pytest.mark.parametrize("row", ROWS)
def test_png_that_says_it_in_chunks(row):
    chunks, space = ROWS[row]
    photo = opened(png(None, *chunks))
    np.testing.assert_array_equal(photo.rgb, PHOTO)
    assert_seen_alike(photo, space.seen(PHOTO))
    assert (photo.profile is None) == (space is SRGB)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16"])
def test_gamma_of_other_modes(mode):
    stored = Image.fromarray(RAMP.astype(np.uint16) * 257) if mode == "I;16" else make_photo().convert(mode)
    photo = opened(png(stored, gamma(1)))
    assert_seen_alike(photo, SPACES["linear"].seen(np.asarray(photo.rgb)))
    assert photo.profile


def test_copies_of_an_image_say_it_still():
    """A caller may have made one, which has no format."""
    image = Image.open(io.BytesIO(png(None, gamma(1)))).convert("RGB")
    assert_seen_alike(photo_from_pil(image), SPACES["linear"].seen(PHOTO))


def test_code_goes_before_the_profile_and_chunks_after_it():
    adobe = SPACES["Adobe RGB"].profile()
    assert_seen_alike(opened(png(None, cicp(12, 13), icc_profile=adobe)), P3.seen(PHOTO))
    assert opened(png(None, gamma(1), icc_profile=adobe)).profile == adobe
    assert opened(png(None, cicp(2, 2), icc_profile=adobe)).profile == adobe
    assert opened(png(None, cicp(9, 16), icc_profile=adobe)).profile == adobe  # HDR, with what stands for it


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(transfer, name):
    with pytest.raises(
        ImageError, match=rf"HDR values \({name}\), which 8 bits cannot hold; save it as sRGB"
    ):
        opened(png(None, cicp(9, transfer)))


def avif(primaries: int, transfer: int) -> bytes:
    buffer = io.BytesIO()
    make_photo().save(buffer, "AVIF", quality=100, subsampling="4:4:4")
    data = buffer.getvalue()
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@pytest.mark.parametrize(
    ("code", "space"),
    [((12, 13), P3), ((1, 8), SPACES["linear"]), ((9, 1), SPACES["BT.2020"]), ((1, 13), SRGB)],
)
def test_avif_that_says_it_by_a_code(code, space):
    pytest.importorskip("PIL._avif")
    photo = opened(avif(*code))
    assert_seen_alike(photo, space.seen(np.asarray(photo.rgb)))
    assert (photo.profile is None) == (space is SRGB)
    with pytest.raises(ImageError, match="HDR"):
        opened(avif(9, 16))


def test_heic_that_says_it_by_a_code(tmp_path):
    pytest.importorskip("pillow_heif")
    codes = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6}
    make_photo().save(tmp_path / "a.heic", quality=100, save_nclx_profile=True, **codes)
    photo = read_photo(tmp_path / "a.heic")
    assert_seen_alike(photo, P3.seen(np.asarray(photo.rgb)))


def test_jpeg_2000_with_a_profile():
    """In a box that Pillow passes by."""
    buffer = io.BytesIO()
    make_photo().save(buffer, "JPEG2000")
    data = buffer.getvalue()
    at, profile = data.index(b"colr") - 4, P3.profile()
    size = struct.unpack(">I", data[at : at + 4])[0]
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    whole = data.index(b"jp2h") - 4
    longer = struct.unpack(">I", data[whole : whole + 4])[0] + len(box) - size
    photo = opened(data[:whole] + struct.pack(">I", longer) + data[whole + 4 : at] + box + data[at + size :])
    assert photo.profile == profile
    assert_seen_alike(photo, P3.seen(np.asarray(photo.rgb)))


@pytest.mark.parametrize(("index", "space"), [("R03", SPACES["Adobe RGB"]), ("R98", SRGB)])
def test_cameras_tell_adobe_rgb_by_exif(tmp_path, index, space):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "R03 is in this name"
    exif[ExifTags.IFD.Exif] = {0xA001: 65535, ExifTags.IFD.Interop: {1: index}}
    make_photo().save(tmp_path / "_A.jpg", exif=exif, quality=100)
    photo = read_photo(tmp_path / "_A.jpg")
    assert_seen_alike(photo, space.seen(np.asarray(photo.rgb)))
    make_photo().save(tmp_path / "b.jpg", exif=exif, icc_profile=P3.profile())
    assert read_photo(tmp_path / "b.jpg").profile == P3.profile()


BROKEN = {
    "noise": P3.profile()[:128] + bytes(range(256)),
    "cut off": P3.profile()[:300],
    "header alone": P3.profile()[:128],
    "no colours": P3.profile().replace(b"rXYZ", b"xXYZ"),
    "all black": spaces.table_profile(b"RGB ", np.zeros((8, 3)), back=True),
    "negative": spaces.table_profile(b"RGB ", spaces.corners(SRGB)[::-1]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_profiles_say_nothing(name):
    """As in browsers."""
    stored = make_photo()
    stored.info["icc_profile"] = BROKEN[name]
    photo = photo_from_pil(stored)
    assert photo.srgb is photo.rgb
    assert photo.profile is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("kind", [b"GRAY", b"CMYK", b"Lab ", b""])
def test_profile_of_other_values_than_the_photo_has_says_nothing(mode, kind):
    stored = make_photo().convert(mode)
    profile = GREYS["linear"].profile(b"GRAY")
    stored.info["icc_profile"] = profile[:16] + kind + profile[20:] if kind else b""
    photo = photo_from_pil(stored)
    assert photo.profile is None
    assert photo.srgb is photo.rgb


def test_profile_of_rgb_on_a_grey_photo_is_that_of_its_greys():
    """As programs leave it that make a photo grey."""
    stored = Image.fromarray(RAMP)
    stored.info["icc_profile"] = SPACES["linear"].profile()
    assert_seen_alike(photo_from_pil(stored), SPACES["linear"].seen(np.repeat(RAMP[..., None], 3, -1)))


@pytest.mark.parametrize("name", GREYS)
def test_masks_are_seen_in_srgb(tmp_path, name):
    Image.fromarray(RAMP).save(tmp_path / "m.png", icc_profile=GREYS[name].profile(b"GRAY"))
    wanted = GREYS[name].seen(np.repeat(RAMP[..., None], 3, -1))[..., 0]
    near(read_mask(tmp_path / "m.png"), wanted)
    near(usable_mask(tmp_path / "m.png"), wanted)
    (tmp_path / "n.png").write_bytes(png(Image.fromarray(RAMP), gamma(1)))
    near(usable_mask(tmp_path / "n.png"), GREYS["linear"].seen(np.repeat(RAMP[..., None], 3, -1))[..., 0])


@pytest.mark.parametrize("name", SPACES)
def test_style_photos_are_seen_in_srgb(tmp_path, name):
    space = SPACES[name]
    Image.fromarray(space.values(PHOTO)).save(tmp_path / "a.png", icc_profile=space.profile())
    coarse = space.seen(space.values(PHOTO))
    near(read_image(tmp_path / "a.png"), coarse)
    near(style_view(read_photo(tmp_path / "a.png"))[0][0].permute(1, 2, 0) * 255, coarse)
