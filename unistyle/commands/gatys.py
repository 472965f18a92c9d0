"""The optimisation by itself: `unistyle gatys`."""

import argparse
from functools import partial
from pathlib import Path

from tqdm import tqdm

from unistyle.data.transfer import Transfer, read_sized
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.teachers.cache import GatysCache
from unistyle.teachers.gatys import GatysConfig, restyle
from unistyle.teachers.vgg import VGG19


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m unistyle.teachers.gatys", description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path, nargs="+", help="one photo, or several with a folder as --out")
    parser.add_argument("--style", type=Path, required=True, help="style photo")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write; a folder for several photos")
    parser.add_argument("--mask", type=Path, help="white = restyle (default: everything); one photo only")
    parser.add_argument("--style-mask", type=Path, help="white = the style (default: the whole style photo)")
    parser.add_argument("--size", type=int, default=256, help="long side in pixels (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=GatysConfig.iterations, help="default: %(default)s")
    parser.add_argument("--style-weight", type=float, default=GatysConfig.style_weight)
    parser.add_argument("--vgg-weights", type=Path, help="safetensors file (default: from the hub)")
    parser.add_argument("--cache", type=Path, help="folder of finished results, reused by later runs")
    parser.add_argument("--device", default="cpu")
    return parser


def main(argv: list[str] | None = None) -> None:
    parser = _parser()
    args = parser.parse_args(argv)
    if len(args.photo) > 1 and (args.mask or args.out.suffix):
        parser.error("several photos need a folder as --out and take no --mask")
    config = GatysConfig(iterations=args.iterations, style_weight=args.style_weight)
    vgg = VGG19(args.vgg_weights).to(args.device)
    cached = GatysCache(args.cache, vgg, config).restyle if args.cache else None
    style = read_sized(args.style, args.style_mask, args.size)
    for path in args.photo:
        photo = read_sized(path, args.mask, args.size)
        job = Transfer(*(x.to(args.device) for x in (photo[0], style[0], photo[1], style[1])))
        with tqdm(total=config.iterations, desc=path.name) as bar:
            out = args.out if args.out.suffix else args.out / f"{path.stem}.png"
            show = partial(_show, bar)
            result = cached(job, show) if cached else restyle(vgg, *job, config, show)
            save_png(to_pil(result[0]), out)


def _show(bar: tqdm, iteration: int, values: dict[str, float]) -> None:
    bar.set_postfix({name: f"{value:.3g}" for name, value in values.items()}, refresh=False)
    bar.update(iteration - bar.n)
