"""What goes with a photo besides its pixels: EXIF, XMP and density, as they are true of an upright result."""

import math
import re
from typing import Any, NamedTuple
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from PIL import ExifTags, Image

Density = tuple[float, float]  # pixels per inch, across and down

# Tags of a TIFF that tell of the photo. The others describe the layout of that very file.
TELLING = (
    *range(0x010D, 0x0111),  # name of the document, description, make, model
    *(0x0131, 0x0132, 0x013B, 0x013C),  # software, time, artist, computer
    *(0x4746, 0x4749, 0x8298),  # stars, and their per cent; copyright
    *range(0x9C9B, 0x9CA0),  # title, comment, author, keywords and subject of Windows
)
SUB = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that change width and height over
DENSEST = 1e6

LONGEST_XMP = 2**20  # bytes; more are not for a person
UNTRUE = re.compile(rb"Orientation|Thumbnails|ns\.google\.com/photos|[hH][dD][rR]-?[gG]ain-?[mM]ap|xmp/note")
# What goes with these names stays behind: maps that lighten a picture, videos, sound and depth behind it, more of XMP.
LOST = re.compile(
    r"http://ns\.google\.com/photos/1\.0/(camera|container(/item)?|image|audio|depthmap)/"
    r"|http://ns\.adobe\.com/(hdr-gain-map/1\.0|xmp/note)/|http://ns\.apple\.com/HDRGainMap/1\.0/"
)
TIFF_NAMES = "http://ns.adobe.com/tiff/1.0/"
XMP_NAMES = "http://ns.adobe.com/xap/1.0/"
SIDES = ("ImageWidth", "ImageLength", "PixelXDimension", "PixelYDimension")


class About(NamedTuple):
    """What goes with a photo."""

    exif: bytes | None = None
    """The EXIF block, without orientation and thumbnail."""

    xmp: bytes | None = None
    """The XMP packet, without orientation, thumbnails, and what points to data that stays behind."""

    density: Density | None = None
    """Pixels per inch across and down."""


def about(image: Image.Image, sideways: bool) -> About:
    """What goes with an image whose pixels are loaded, but not turned yet. What is damaged is left out.

    sideways: width and height change over (`lies_sideways`, before the pixels were loaded).
    """
    sideways = sideways or lies_sideways(image)
    density = _density(image)
    if sideways and density:
        density = density[::-1]
    return About(_exif(image, sideways), _xmp(image, sideways), density)


def with_density(exif: bytes | None, density: Density) -> bytes | None:
    """An EXIF block that says the density, for files that have no other place for it. A damaged one stays as it is."""
    try:
        block = Image.Exif()
        if exif:
            block.load(exif)
        block[ExifTags.Base.XResolution], block[ExifTags.Base.YResolution] = density
        block[ExifTags.Base.ResolutionUnit] = 2  # inches
        return block.tobytes()
    except Exception:
        return exif


def lies_sideways(image: Image.Image) -> bool:
    """Whether the orientation changes width and height over. Pillow turns a TIFF as it loads it, and forgets that; a
    PNG may say it after its pixels."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
    except Exception:  # EXIF that is damaged in any way
        return False


def _exif(image: Image.Image, sideways: bool) -> bytes | None:
    try:
        exif = _exif_of(image)
        if exif is None:
            return None
        exif.pop(ExifTags.Base.Orientation, None)
        if sideways:
            _turn(exif)
        return exif.tobytes() if len(exif) else None
    except Exception:  # EXIF that is damaged in any way
        return None


def _exif_of(image: Image.Image) -> Image.Exif | None:
    exif = Image.Exif()
    if block := image.info.get("exif"):
        exif.load(block)
        return exif
    if not hasattr(image, "tag_v2"):
        old = "Raw profile type exif" in image.info  # as text in a PNG
        return image.getexif() if old else None
    stored = image.getexif()
    for tag in TELLING:
        if tag in stored:
            exif[tag] = stored[tag]
    for tag in SUB:
        if found := stored.get_ifd(tag):
            exif[tag] = dict(found)
    return exif


def _turn(exif: Image.Exif) -> None:
    """Change over what EXIF says of across and down."""
    _swap(exif, ExifTags.Base.XResolution, ExifTags.Base.YResolution)
    if inner := exif.get_ifd(ExifTags.IFD.Exif):
        _swap(inner, ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


def _swap(tags: Any, one: int, other: int) -> None:
    if one in tags and other in tags:
        tags[one], tags[other] = tags[other], tags[one]


def _density(image: Image.Image) -> Density | None:
    try:
        across, down = (float(number) for number in _said_density(image) or ())
    except Exception:  # none, an impossible one, or EXIF that is damaged in any way
        return None
    usable = all(math.isfinite(number) and 0 < number < DENSEST for number in (across, down))
    return (across, down) if usable else None


def _said_density(image: Image.Image) -> Any:
    """As the file says it. Where it says nothing, Pillow says 1 for a TIFF, and 72 for a JPEG with EXIF."""
    if image.format == "TIFF" and ExifTags.Base.XResolution not in getattr(image, "tag_v2", {}):
        return None
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        tags = image.getexif()
        per_inch = {2: 1, 3: 2.54}[tags.get(ExifTags.Base.ResolutionUnit, 2)]
        names = (ExifTags.Base.XResolution, ExifTags.Base.YResolution)
        return [float(tags[name]) * per_inch for name in names]
    return image.info.get("dpi")


def _xmp(image: Image.Image, sideways: bool) -> bytes | None:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    packet = packet.encode() if isinstance(packet, str) else packet
    if not isinstance(packet, bytes) or len(packet) > LONGEST_XMP:
        return None
    packet = packet.strip(b"\0 \n")
    if not UNTRUE.search(packet):
        return packet or None
    # XMP has no entities of its own, which could grow without bounds.
    return None if b"<!" in packet.replace(b"<!--", b"") else _true_xmp(packet, sideways)


def _true_xmp(packet: bytes, sideways: bool) -> bytes | None:
    """An XMP packet without what is not true of the result."""
    try:
        document = minidom.parseString(packet)
    except (ExpatError, ValueError, LookupError):
        return None
    for node in list(document.getElementsByTagName("*")):
        for name in list(node.attributes.values()):
            if _is_orientation(name):
                name.value = "1"
            elif _untrue(name, sideways):
                node.removeAttributeNode(name)
        if _is_orientation(node):
            for child in [child for child in node.childNodes if isinstance(child, minidom.Text)]:
                child.data = "1"
        elif _untrue(node, sideways) and node.parentNode:
            node.parentNode.removeChild(node)
    return "".join(child.toxml() for child in document.childNodes).encode()


def _is_orientation(node: Any) -> bool:
    return node.namespaceURI == TIFF_NAMES and node.localName == "Orientation"


def _untrue(node: Any, sideways: bool) -> bool:
    names, name = node.namespaceURI or "", node.localName
    return bool(
        LOST.match(names) or (names == XMP_NAMES and name == "Thumbnails") or (sideways and name in SIDES)
    )
