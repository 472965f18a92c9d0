"""Photos and masks between files, PIL and tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

from unistyle.errors import ImageError
from unistyle.files.about import Density, about, lies_sideways
from unistyle.files.colors.declared import declared
from unistyle.files.colors.srgb import brought_back, converted, settled, to_srgb
from unistyle.files.decoding.modes import plain
from unistyle.files.decoding.tiff import readable
from unistyle.files.places import Place

try:
    import pillow_heif
except ImportError:  # the extra `heif`, without which such a file is refused by name
    pass
else:
    pillow_heif.register_heif_opener()


MAX_PIXELS = 512_000_000  # of a file that is read: 1.5 GB as RGB, and more than any camera takes


class _Roomy:
    """Within it, photos of 100 megapixels pass without a warning; files above MAX_PIXELS are refused here, before they
    are decoded.

    Pillow's guard against decompression bombs is one number for the process, which belongs to the program around this:
    it is raised while any thread reads, and then what it was; never lowered, nor set where it is switched off.
    """

    def __init__(self):
        self.lock, self.readers = Lock(), 0
        self.before: int | None = None

    def __enter__(self) -> None:
        with self.lock:
            if self.readers == 0:
                self.before = Image.MAX_IMAGE_PIXELS
                if self.before is not None:
                    Image.MAX_IMAGE_PIXELS = max(self.before, MAX_PIXELS)
            self.readers += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0:
                Image.MAX_IMAGE_PIXELS = self.before


_ROOMY = _Roomy()

GREYS = ("1", "L", "LA")  # Pillow's modes of one channel of 8 bits or fewer

# EXIF orientation -> what makes the stored pixels upright (Exif 2.3, tag 0x0112); 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Photo:
    """An upright 8-bit photo.

    It has the file's own values and their profile, which go into the result, so that what was not restyled stays equal
    to the bit. What looks at a photo looks at `srgb`.
    """

    rgb: Image.Image
    """PIL image of mode RGB, in the values of the profile."""
    opacity: Image.Image | None = None
    """PIL grey image of the same size, 0 = transparent; None where nothing is transparent."""
    profile: bytes | None = None
    """The ICC profile of the colours in `rgb`; None for sRGB."""
    exif: bytes | None = None
    """The EXIF block of the file, without the orientation, which is already carried out, and without the thumbnail,
    which would show the photo as it was."""
    xmp: bytes | None = None
    """The XMP packet, as true of an upright result (`about.About`)."""
    density: Density | None = None
    """Pixels per inch across and down."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.size

    @property
    def srgb(self) -> Image.Image:
        """The colours in sRGB: `rgb` itself where that is sRGB, else made anew at each call."""
        return to_srgb(self.rgb, self.profile)

    def with_srgb(self, srgb: Image.Image, mask: Image.Image, strength: float = 1.0) -> Image.Image:
        """A picture that was made of `srgb`, in this photo's own values, as `with_rgb` gives it. It may be changed in
        place. mask: how much of each pixel was made anew, 8-bit grey; strength: how much of that at most. Where it is
        0, values are this photo's to the bit."""
        return self.with_rgb(brought_back(self.rgb, self.profile, srgb, mask, strength))

    def with_rgb(self, rgb: Image.Image) -> Image.Image:
        """An image of mode RGB or RGBA: the given colours with this photo's opacity, and in its `info` what goes with
        the photo. The given image is changed in place and returned."""
        image = rgb
        if self.opacity is not None:
            image.putalpha(self.opacity)
        along = {"icc_profile": self.profile, "exif": self.exif, "xmp": self.xmp, "dpi": self.density}
        image.info = {name: value for name, value in along.items() if value is not None}
        return image


def read_photo(path: str | Place, admit: Callable[[tuple[int, int]], object] | None = None) -> Photo:
    """The photo in a file, upright, of any mode that Pillow reads; of several frames the first.

    The content of the file decides, not its ending. admit: called with (width, height) before the pixels are read, to
    wait until there is memory for them. Raises ImageError, "PATH: REASON", where the file is missing, broken, cut
    off, not an image or larger than MAX_PIXELS.
    """
    try:
        with _ROOMY, _open(path) as file:
            return _decode(file, admit)
    # A broken file surfaces as almost any exception, depending on the decoder and on where the damage is.
    except Exception as error:
        raise ImageError(f"{path}: {_reason(error)}") from error


def _open(path: str | Place) -> BinaryIO:
    path = Path(path) if isinstance(path, str) else path
    if isinstance(path, Path) and not path.is_file():  # to open a pipe would be to wait for its other end
        raise ImageError(_no_file(path))
    return path.open("rb")


def _no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder; wanted an image file"
    if path.exists():
        return "is no regular file but a pipe, socket or device; wanted an image file"
    return f"is a link to {path.readlink()}, which leads nowhere" if path.is_symlink() else "no such file"


def _decode(file: BinaryIO, admit: Callable[[tuple[int, int]], object] | None) -> Photo:
    start = file.read(16)
    try:
        image = Image.open(readable(file))
    except UnidentifiedImageError:
        raise ImageError(_unknown(start)) from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(_too_large(f"{image.width}x{image.height} pixels"))
        if image.format == "EPS":  # Pillow would run Ghostscript on it
            raise ImageError("PostScript is a program, which is not run; save it as PNG")
        if admit is not None:
            admit(image.size)
        return photo_from_pil(image)


def _unknown(start: bytes) -> str:
    """Why nothing can open a file that starts with these bytes."""
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp" and start[8:11] != b"avi" and "HEIF" not in Image.OPEN:
        return "HEIC and HEIF photos need pillow-heif: pip install 'unistyle[heif]'"
    return f"cannot be read as an image: damaged, or of an unknown kind (it starts with {start!r})"


def _too_large(size: str) -> str:
    return f"too large: {size}, at most {MAX_PIXELS} are read; scale the photo down or cut it into parts"


def _reason(error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, Image.DecompressionBombError):  # "Image size (N pixels) exceeds limit of ..."
        return _too_large(str(error).partition(" exceeds")[0])
    if isinstance(error, OSError) and error.strerror:  # without the file's name, which str(error) repeats
        return f"cannot be read: {error.strerror}"
    return f"cannot be read as an image: {str(error) or type(error).__name__}"


def photo_from_pil(image: Image.Image) -> Photo:
    """A PIL image of any mode as a Photo. It is turned by its EXIF orientation, samples of more than 8 bits are scaled
    (`decoding`), CMYK and LAB are converted, and transparency (an alpha channel or a transparent colour) becomes the
    opacity. Raises ImageError for a mode or for values that cannot be used, and for HDR values."""
    if min(image.size) < 1:
        raise ImageError(f"the image is empty ({image.width}x{image.height})")
    said = declared(image)  # from the file, which Pillow closes when the pixels are loaded
    late = (
        image.format == "PNG"
    )  # whose EXIF may come after the pixels; a TIFF's orientation is forgotten with them
    sideways = not late and lies_sideways(image)
    stored, image = image, plain(image)
    sideways = sideways or (late and lies_sideways(stored))
    rgb, opacity, profile = _colors(_upright(image), said)
    return Photo(rgb, opacity, profile, *about(stored, sideways))


def _colors(image: Image.Image, said: bytes | None) -> tuple[Image.Image, Image.Image | None, bytes | None]:
    """Values, opacity and profile. said: the profile that the file tells."""
    if image.mode in ("CMYK", "LAB"):
        return converted(image, said) or image.convert("RGB"), None, None
    grey = image.mode in GREYS
    if image.has_transparency_data:
        image = image.convert("RGBA")
        rgb, opacity = image.convert("RGB"), image.getchannel("A")
    else:
        rgb, opacity = image.convert("RGB"), None
    rgb, profile = settled(rgb, said, grey)
    return rgb, opacity, profile


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return image.transpose(TURNS[image.getexif()[ExifTags.Base.Orientation]])
    except Exception:  # no EXIF, no orientation, an impossible one, or EXIF that is damaged in any way
        return image


def read_image(path: str | Place) -> Image.Image:
    """The photo in a file, upright and in sRGB. Raises ImageError."""
    return read_photo(path).srgb


def read_mask(path: str | Place) -> Image.Image:
    """The mask in a file as 8-bit grey: white = inside, transparent = outside. Raises ImageError."""
    return mask_from_pil(read_photo(path))


def mask_from_pil(photo: Photo | Image.Image) -> Image.Image:
    """A mask of any mode as 8-bit grey: white = inside, transparent = outside."""
    photo = photo if isinstance(photo, Photo) else photo_from_pil(photo)
    grey = photo.srgb.convert("L")
    if photo.opacity is None:
        return grey
    return Image.composite(grey, Image.new("L", grey.size), photo.opacity)
