"""What goes with a photo into its result besides pixels: XMP, density, and what a TIFF tells in its tags."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from tests.files.test_photos import some_exif
from tests.helpers import chunk, make_photo
from unistyle.files.photos import photo_from_pil, read_photo
from unistyle.files.writing import FORMATS, encode_image

NAMES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/"'
)


def packet(attributes: str = "", inner: str = "") -> bytes:
    """An XMP packet as Adobe's programs write it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {NAMES}><rdf:Description rdf:about="" {attributes}>'
        f"<dc:rights><rdf:Alt><rdf:li>© Zoë &amp; Co</rdf:li></rdf:Alt></dc:rights>{inner}"
        '</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


def result(photo, format: str = "png") -> Image.Image:
    return Image.open(io.BytesIO(encode_image(photo.with_rgb(photo.rgb.copy()), format)))


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
@pytest.mark.parametrize("format", FORMATS)
def test_xmp_goes_with_the_result(tmp_path, source, format):
    wanted = packet('xmp:Rating="4"')
    if source == "a.png":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + wanted)
        make_photo().save(tmp_path / source)
        data = (tmp_path / source).read_bytes()
        (tmp_path / source).write_bytes(data[:33] + text + data[33:])
    elif source == "a.tif":
        make_photo().save(tmp_path / source, tiffinfo={700: wanted})
    else:
        make_photo().save(tmp_path / source, xmp=wanted)
    assert result(read_photo(tmp_path / source), format).info["xmp"] == wanted


def with_xmp(xmp, **info):
    image = make_photo()
    image.info |= {"xmp": xmp, **info}
    return photo_from_pil(image)


@pytest.mark.parametrize("said", ['tiff:Orientation="6"', "<tiff:Orientation>6</tiff:Orientation>"])
def test_orientation_in_xmp_is_carried_out_and_reset(said):
    photo = with_xmp(packet(inner=said) if said.startswith("<") else packet(said))
    assert photo.size == (48, 64)
    assert b"6" not in photo.xmp.partition(b"Orientation")[2][:4]
    assert result(photo).size == (48, 64)
    assert photo_from_pil(result(photo)).size == (48, 64)
    assert "© Zoë &amp; Co".encode() in photo.xmp
    assert photo.xmp.startswith(b"<?xpacket begin=")
    assert photo.xmp.endswith(b'<?xpacket end="w"?>')


def test_sides_in_xmp_are_left_out_of_a_turned_photo():
    photo = with_xmp(
        packet('tiff:Orientation="8" tiff:ImageWidth="64" exif:PixelXDimension="64" xmp:Rating="4"')
    )
    assert b"64" not in photo.xmp
    assert b'xmp:Rating="4"' in photo.xmp


GOOGLE = "http://ns.google.com/photos/1.0/"
LOST = {
    "thumbnails": ("", "<xmp:Thumbnails><rdf:Alt><rdf:li>LOST</rdf:li></rdf:Alt></xmp:Thumbnails>"),
    "motion": (f'xmlns:GCamera="{GOOGLE}camera/" GCamera:MotionPhoto="LOST"', ""),
    "container": (f'xmlns:C="{GOOGLE}container/"', "<C:Directory><rdf:Bag>LOST</rdf:Bag></C:Directory>"),
    "depth": (f'xmlns:GDepth="{GOOGLE}depthmap/" GDepth:Data="LOST"', ""),
    "gain map": ('xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="LOST"', ""),
    "apple": ('xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" HDRGainMap:HDRGainMapVersion="LOST"', ""),
    "more": ('xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="LOST"', ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOST)
def test_xmp_points_to_nothing_that_stays_behind(kind):
    photo = with_xmp(packet(*LOST[kind]))
    assert b"LOST" not in photo.xmp
    assert "© Zoë &amp; Co".encode() in photo.xmp


def test_xmp_of_a_panorama_stays():
    said = f'xmlns:GPano="{GOOGLE}panorama/" GPano:FullPanoWidthPixels="64"'
    assert b'GPano:FullPanoWidthPixels="64"' in with_xmp(packet(said)).xmp


DAMAGED = {
    "cut off": packet('tiff:Orientation="6"')[:-60],
    "noise": b"Orientation \xff\xfe\xfd",
    "zeros": b"Orientation\0" * 10,
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="1">&b;</a>',
    "endless": b"<a/>" + b" " * 2**21,
    "number": 7,
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_xmp_is_left_out(kind):
    image = make_photo()
    image.info["xmp"] = DAMAGED[kind]
    assert photo_from_pil(image).xmp is None


@pytest.mark.parametrize("format", FORMATS)
def test_long_packets_fail_no_result(format):
    photo = with_xmp(packet(inner="<dc:title>" + "x" * 70000 + "</dc:title>"))
    assert ("xmp" in result(photo, format).info) == (format != "jpg")  # whose segments hold 65,535 bytes


def density_of(image: Image.Image) -> tuple[float, ...]:
    if image.format == "WEBP":
        exif = image.getexif()
        assert exif[ExifTags.Base.ResolutionUnit] == 2
        return float(exif[ExifTags.Base.XResolution]), float(exif[ExifTags.Base.YResolution])
    return image.info["dpi"]


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.tif", "a.bmp"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("density", [(300, 300), (204, 98)])
def test_density_goes_with_the_result(tmp_path, source, format, density):
    make_photo().save(tmp_path / source, dpi=density)
    assert density_of(result(read_photo(tmp_path / source), format)) == pytest.approx(density, abs=0.5)


@pytest.mark.parametrize("format", FORMATS)
def test_density_in_centimetres(tmp_path, format):
    make_photo().save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[13:18] = struct.pack(">BHH", 2, 100, 50)  # JFIF 1.02, page 6
    (tmp_path / "a.jpg").write_bytes(data)
    make_photo().save(tmp_path / "a.tif", tiffinfo={282: 100.0, 283: 50.0, 296: 3})
    for name in ("a.jpg", "a.tif"):
        found = density_of(result(read_photo(tmp_path / name), format))
        assert found == pytest.approx((254, 127), abs=0.5)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.tif"])
def test_density_turns_with_the_photo(tmp_path, orientation, source):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if source != "a.tif":  # whose tags are written from the density
        exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = 204, 98
        exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExifImageWidth: 64, ExifTags.Base.ExifImageHeight: 48}
    make_photo().save(tmp_path / source, dpi=(204, 98), exif=exif)
    turned = orientation > 4
    wanted = (98, 204) if turned else (204, 98)
    for format in FORMATS:
        found = result(read_photo(tmp_path / source), format)
        assert density_of(found) == pytest.approx(wanted, abs=0.5)
        if source != "a.tif":
            tags, inner = found.getexif(), found.getexif().get_ifd(ExifTags.IFD.Exif)
            said = (tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution])
            assert said == pytest.approx(wanted, abs=0.5)
            assert (inner[ExifTags.Base.ExifImageWidth] == 48) == turned


def test_no_density_is_made_up(tmp_path):
    make_photo().save(tmp_path / "a.jpg", exif=some_exif())  # for which Pillow says 72
    make_photo().save(tmp_path / "b.jpg")
    make_photo().save(tmp_path / "c.tif")  # for which Pillow says 1
    for name in ("a.jpg", "b.jpg", "c.tif"):
        photo = read_photo(tmp_path / name)
        assert photo.density is None
        assert "dpi" not in result(photo).info
        assert result(photo, "jpg").info.get("jfif_unit") == 0


@pytest.mark.parametrize(
    "said",
    [
        (0, 0),
        (-1, 5),
        (float("nan"), 1),
        (float("inf"),) * 2,
        (1e300, 1),
        "300",
        (IFDRational(1, 0),) * 2,
        (1,),
    ],
)
def test_impossible_densities_are_left_out(said):
    image = make_photo()
    image.info["dpi"] = said
    photo = photo_from_pil(image)
    assert photo.density is None
    for format in FORMATS:
        encode_image(photo.with_rgb(photo.rgb.copy()), format)


@pytest.mark.parametrize("dpi", [0.001, 70000.0])
def test_rare_densities_fail_no_result(dpi):
    image = make_photo()
    image.info["dpi"] = (dpi, dpi)
    for format in FORMATS:
        encode_image(photo_from_pil(image).with_rgb(make_photo()), format)


def tiff_of(path, **options):
    """A TIFF that tells of its photo as cameras and scanners do."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Zoe", "(c) Zoe"
    exif[ExifTags.Base.ImageDescription], exif[ExifTags.Base.DateTime] = "a wall", "2024:05:06 07:08:09"
    if not options.get("compression"):  # with which Pillow cannot write them
        exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 12.0, 30.5)})
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 100
    make_photo().save(path, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("format", FORMATS)
def test_tags_of_a_tiff_become_exif(tmp_path, compression, format):
    tiff_of(tmp_path / "a.tif", compression=compression)
    found = result(read_photo(tmp_path / "a.tif"), format)
    exif = found.getexif()
    assert exif[ExifTags.Base.Artist] == "Zoe"
    assert exif[ExifTags.Base.Copyright] == "(c) Zoe"
    assert exif[ExifTags.Base.ImageDescription] == "a wall"
    if not compression:
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert [float(part) for part in exif.get_ifd(ExifTags.IFD.GPSInfo)[2]] == [48, 12, 30.5]
        assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] == 100
    layout = {ExifTags.Base.StripOffsets, ExifTags.Base.Compression, ExifTags.Base.BitsPerSample}
    assert not layout & set(exif)


def test_plain_tiff_has_no_exif(tmp_path):
    make_photo().save(tmp_path / "a.tif")
    assert read_photo(tmp_path / "a.tif").exif is None


def test_exif_of_a_png_after_its_pixels_or_as_text(tmp_path):
    """As exiftool and ImageMagick write it."""
    make_photo().save(tmp_path / "a.png")
    data, block = (tmp_path / "a.png").read_bytes(), some_exif().tobytes()
    text = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    late = data[:-12] + chunk(b"eXIf", block[6:]) + data[-12:]
    early = data[:33] + chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)) + data[33:]
    for content in (late, early):
        (tmp_path / "a.png").write_bytes(content)
        photo = read_photo(tmp_path / "a.png")
        assert photo.size == (48, 64)
        assert result(photo).getexif()[ExifTags.Base.Make] == "Maker"
        assert photo_from_pil(result(photo)).size == (48, 64)


def test_results_are_the_same_with_and_without(tmp_path):
    """What goes with a photo changes none of its pixels."""
    make_photo().save(tmp_path / "a.png")
    tiff_of(tmp_path / "b.tif", dpi=(300, 300))
    for format in ("png", "webp"):
        one, other = (result(read_photo(tmp_path / name), format) for name in ("a.png", "b.tif"))
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
