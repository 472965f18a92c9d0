"""How well regions are restyled and found, measured on annotated photos.

Style is judged by `unistyle.scores`, inside annotated regions, for any method by the same code: the network, the
Gatys optimisation, recolouring, the untouched photo. Commands: `python -m unistyle.evaluation --help`.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from unistyle.data.labelled import Photo, material_photos
from unistyle.evaluation.rows import Row, table, write_rows
from unistyle.evaluation.scores import changed, style_scores
from unistyle.evaluation.sheets import contact_sheet, failure_sheet, failures, sheet_photos
from unistyle.files.photos import read_image, read_mask, to_pil, to_tensor
from unistyle.files.writing import save_png
from unistyle.maths.masks import AREA, has_boundary, mean_iu, pixel_accuracy
from unistyle.network.composite import alpha_of, composite
from unistyle.network.model import UniStyleNetwork
from unistyle.restyle.pipeline import UniStyle
from unistyle.teachers.gatys import GatysCache, GatysConfig, Job, read_sized, recolour, restyle
from unistyle.teachers.vgg import VGG19

SIZE = 256  # long side, in pixels, at which styles are compared

# (photo 1 3 h w, region 1 1 h w, style 1 3 h w, style_region 1 1 h w) -> result 1 3 h w
Method = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Pair(NamedTuple):
    """A photo, and a photo of another material that is its style."""

    content: Photo
    style: Photo


def make_pairs(contents: Sequence[Photo], styles: Sequence[Photo], count: int, seed: int) -> list[Pair]:
    """`count` pairs, the same for the same photos and seed: contents in turn, each with a random style photo of
    another material, both with a region of at least a tenth of the frame. Raises ValueError where there are none."""
    rng = random.Random(seed)
    contents, styles = (sorted(filter(_large, x), key=lambda p: p.path) for x in (contents, styles))
    if not contents or len({p.label for p in (*contents, *styles)}) < 2:
        raise ValueError("no pairs: wanted photos of two materials with masks above a tenth of the frame")
    rng.shuffle(contents)
    turns = (contents[i % len(contents)] for i in range(count))
    return [Pair(c, rng.choice([s for s in styles if s.label != c.label])) for c in turns]


def _large(photo: Photo) -> bool:
    return to_tensor(read_mask(photo.mask)).mean().item() >= AREA


def load_pair(pair: Pair, size: int = SIZE) -> Job:
    """Photo, style and their annotated regions as tensors, the long sides at most `size`."""
    (photo, region), (style, style_region) = (read_sized(p.path, p.mask, size) for p in pair)
    return Job(photo, style, region, style_region)


def network_method(network: UniStyleNetwork, strength: float = 1.0) -> Method:
    """The network: the code from the style's region, the photo restyled in its own, with a strength in [0, 1]."""

    @torch.inference_mode()
    def run(photo, region, style, style_region):
        return network(photo, network.encode_style(style, style_region), region, strength=strength).image

    return run


def whole_method(network: UniStyleNetwork) -> Method:
    """The network blind to regions: code and statistics of whole photos, the result cut out afterwards."""

    @torch.inference_mode()
    def run(photo, region, style, style_region):
        codes = network.encode_style(style, torch.ones_like(style_region))
        return composite(photo, network(photo, codes, torch.ones_like(region)).image, region)

    return run


def gatys_method(vgg: nn.Module, config: GatysConfig, cache: Path | None = None) -> Method:
    """The Gatys teacher, with finished results kept in `cache`."""
    run = GatysCache(cache, vgg, config).restyle if cache else lambda job: restyle(vgg, *job, config)
    return lambda photo, region, style, style_region: run(Job(photo, style, region, style_region))


def photo_method(photo, region, style, style_region) -> Tensor:
    """The untouched photo: a relative distance of 1."""
    return photo


def colour_method(photo, region, style, style_region) -> Tensor:
    """Recolouring alone: mean and standard deviation of the style's RGB channels inside the region."""
    return composite(photo, recolour(photo, style, region, style_region), region)


def evaluate_style(pairs: Iterable[Pair], method: Method, vgg: nn.Module, device="cpu") -> Iterator[Row]:
    """`style_scores` of one method for each pair, with the names of photo and style."""
    for pair in pairs:
        job = Job(*(x.to(device) for x in load_pair(pair)))
        result = method(job.photo, job.region, job.style, job.style_region)
        names = {"photo": _name(pair.content), "style": _name(pair.style)}
        yield names | style_scores(vgg, job, result)


def evaluate_bank(
    model: UniStyle, pairs: Iterable[Pair], exemplars: dict[str, Photo], vgg: nn.Module, to: str | None = None
) -> Iterator[Row]:
    """`style_scores` of the public call with a style named from the bank: `to`, or the material of the pair's style.

    They are taken against the exemplar that the call chose, whose photo `exemplars` holds by its name in the bank.
    Raises KeyError for an exemplar that is not there.
    """
    for pair in pairs:
        photo, region = read_sized(pair.content.path, pair.content.mask, SIZE)
        result = model.restyle(to_pil(photo[0]), to or pair.style.path.parent.name, mask=to_pil(region[0]))
        (name,) = result.styles.values()
        job = Job(*(x.to(model.device) for x in load_pair(Pair(pair.content, exemplars[name]))))
        image = to_tensor(result.image)[None].to(model.device)
        yield {"photo": _name(pair.content), "style": name} | style_scores(vgg, job, image)


@torch.inference_mode()
def predicted_mask(network: UniStyleNetwork, image: Tensor) -> Tensor:
    """Alpha `1 1 h w` of everything that the network takes for a material in a photo `1 3 h w`."""
    return alpha_of(image, network.regions(network.find(image)[1]))


def evaluate_masks(network: UniStyleNetwork, photos: Iterable[Photo], device="cpu") -> Iterator[Row]:
    """Pixel accuracy and mean IU of the predicted mask (alpha above a half) of each photo, at the photo's size.

    boundary: 1 where the annotated mask covers less than 95 % of the frame. halo: share of the frame where alpha is
    above 0 and below a half outside the annotated mask.
    """
    for photo in photos:
        annotated = to_tensor(read_mask(photo.mask))[0] > 0.5
        alpha = predicted_mask(network, to_tensor(read_image(photo.path))[None].to(device))
        mask = (alpha > 0.5)[0, 0].cpu()
        scores = {"accuracy": pixel_accuracy(mask, annotated), "mean_iu": mean_iu(mask, annotated)}
        faint = (alpha[0, 0].cpu() > 0) & ~mask & ~annotated
        scores |= {"halo": faint.float().mean().item(), "boundary": float(has_boundary(annotated))}
        yield {"photo": _name(photo), **scores}


def evaluate_outside(model: UniStyle, photos: Iterable[Photo], styles: Sequence[str]) -> Iterator[Row]:
    """8-bit values that differ where the mask of the public call is 0, for whole photos at their own size; the
    styles are taken in turn. area: the mask's share of the frame."""
    for index, photo in enumerate(photos):
        result = model.restyle(photo.path, to=styles[index % len(styles)])
        image, mask, before = (
            to_tensor(x)[None] for x in (result.image, result.mask, read_image(photo.path))
        )
        yield {
            "photo": _name(photo),
            "outside": float(changed(image, before, mask)),
            "area": mask.mean().item(),
        }


def _name(photo: Photo) -> str:
    return f"{photo.path.parent.name}/{photo.path.stem}"


def split_photos(data: Path, split: str) -> list[Photo]:
    """Photos `data/image/MATERIAL/STEM.jpg` with masks `data/mask/MATERIAL/STEM.png`, named in `data/SPLIT.txt`."""
    return material_photos(data / "image", data / f"{split}.txt", data / "mask")


def _style_rows(args: argparse.Namespace) -> Iterator[Row]:
    vgg = VGG19(args.vgg_weights).to(args.device)
    methods = {
        "network": lambda: network_method(_model(args).network, args.strength),
        "whole": lambda: whole_method(_model(args).network),
        "gatys": lambda: gatys_method(vgg, GatysConfig(iterations=args.iterations), args.cache),
        "photo": lambda: photo_method,
        "colour": lambda: colour_method,
    }
    method, contents = methods[args.method](), split_photos(args.data, args.split)
    pairs = make_pairs(contents, contents + split_photos(args.data, "train"), args.pairs, args.seed)
    yield from evaluate_style(tqdm(pairs, desc=args.method), method, vgg, args.device)


def _bank_rows(args: argparse.Namespace) -> Iterator[Row]:
    model, vgg = _model(args), VGG19(args.vgg_weights).to(args.device)
    contents, train = split_photos(args.data, args.split), split_photos(args.data, "train")
    pairs = make_pairs(contents, contents + train, args.pairs, args.seed)
    exemplars = {_name(photo): photo for photo in contents + train}
    yield from evaluate_bank(model, tqdm(pairs, desc="bank"), exemplars, vgg, args.to)


def _mask_rows(args: argparse.Namespace) -> Iterator[Row]:
    photos = tqdm(split_photos(args.data, args.split), desc="masks")
    yield from evaluate_masks(_model(args).network, photos, args.device)


def _outside_rows(args: argparse.Namespace) -> Iterator[Row]:
    model = _model(args)
    yield from evaluate_outside(
        model, tqdm(split_photos(args.data, args.split), desc="outside"), model.styles
    )


def _report(args: argparse.Namespace) -> None:
    rows = list(args.rows(args))
    print(table(rows))
    if bounded := [row for row in rows if row.get("boundary")]:
        print("\nannotated mask below 95 % of the frame:\n" + table(bounded))
    if args.out:
        write_rows(rows, args.out)


def _sheet(args: argparse.Namespace) -> None:
    model, photos = _model(args), sheet_photos(split_photos(args.data, args.split))
    sheet = contact_sheet(model, tqdm(photos, desc="sheet"), args.styles or model.styles)
    save_png(sheet, args.out)


def _failures(args: argparse.Namespace) -> None:
    network, photos = _model(args).network, split_photos(args.data, args.split)
    find = lambda image: predicted_mask(network, image.to(args.device))  # noqa: E731
    failed = failures(find, tqdm(photos, desc="masks"))
    for kind, group in groupby(failed, key=lambda f: f.kind):
        group = list(group)
        save_png(failure_sheet(group), args.out / f"{kind}.png")
        names = ", ".join(f"{_name(f.photo)} {f.score:.2f}" for f in group)
        print(f"{kind}: {len(group)} of {len(photos)}: {names}")


def _model(args: argparse.Namespace) -> UniStyle:
    if args.checkpoint is None:
        raise SystemExit("--checkpoint is missing: give a .safetensors file, a folder with one, or a hub id")
    return UniStyle.from_pretrained(args.checkpoint, device=args.device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.evaluation", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="style|bank|masks|outside|sheet|failures")

    def command(
        name: str, text: str, run=_report, rows=None, out="file of the rows, .csv or .json"
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run, rows=rows)
        sub.add_argument(
            "--data", type=Path, required=True, help="folder of image/, mask/, train.txt, val.txt"
        )
        sub.add_argument("--checkpoint", help="file, folder or hub id")
        sub.add_argument("--split", default="val", help="default: val")
        sub.add_argument("--device", default="cpu")
        sub.add_argument("--out", type=Path, required=run is not _report, help=out)
        return sub

    style = command("style", "statistics of restyled regions against their style's", rows=_style_rows)
    methods = ("network", "whole", "gatys", "photo", "colour")
    style.add_argument("--method", choices=methods, default="network", help="default: network")
    style.add_argument("--iterations", type=int, default=GatysConfig.iterations, help="of the Gatys method")
    style.add_argument("--strength", type=float, default=1.0, help="of the network method (default: 1)")
    style.add_argument("--cache", type=Path, help="folder of finished Gatys results")
    bank = command("bank", "the same with styles named from the checkpoint's bank", rows=_bank_rows)
    bank.add_argument("--to", help="a style of the bank (default: the material of each pair's style)")
    for sub in (style, bank):
        sub.add_argument("--pairs", type=int, default=120, help="default: %(default)s")
        sub.add_argument("--seed", type=int, default=0, help="of the list of pairs (default: %(default)s)")
        sub.add_argument("--vgg-weights", type=Path, help="safetensors file (default: from the hub)")
    command("masks", "predicted masks against annotated ones", rows=_mask_rows)
    command("outside", "what differs outside the mask: nothing should", rows=_outside_rows)
    sheet = command("sheet", "photos against styles of the bank, to look at", run=_sheet, out="PNG")
    sheet.add_argument("--styles", nargs="+", help="styles of the bank (default: all)")
    command("failures", "masks that failed, a PNG a kind of failure", run=_failures, out="folder")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    main()
