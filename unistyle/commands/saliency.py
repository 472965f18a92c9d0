"""The saliency teacher by itself: `unistyle saliency`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from jsonargparse import ArgumentParser

from unistyle.data.labelled import material_photos, materials_of, split_photos
from unistyle.evaluation.saliency import compare, with_masks
from unistyle.teachers.masks import METHODS, write_masks
from unistyle.teachers.saliency import Bars, SaliencyConfig, load_or_train


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m unistyle.teachers.saliency", description=__doc__)
    parser.add_argument("--photos", type=str, required=True, help="folder with a folder a material")
    parser.add_argument(
        "--out", type=str | None, help="folder for the masks; without it --masks alone is done"
    )
    parser.add_argument("--method", choices=METHODS, default="combined", help="which maps to write")
    parser.add_argument(
        "--split", type=str | None, help="file of the photos to train on; default: a random 7/8"
    )
    parser.add_argument(
        "--objects", type=str | None, help="folder with image/ and mask/ of objects in general"
    )
    parser.add_argument(
        "--masks",
        type=str | None,
        help="annotated masks of the photos held out: calibrate on them, print a table",
    )
    parser.add_argument("--cache", type=str, default="cache/saliency", help="where the networks are kept")
    parser.add_argument("--device", type=str, default="cpu")
    parser.add_argument("--encoder-weights", type=str | None, help="file; default: the hub's")
    parser.add_class_arguments(SaliencyConfig, "settings")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    parser = _parser()
    args = parser.instantiate(parser.parse_args(argv))
    if not (args.out or args.masks):
        parser.error("nothing to do: give --out for masks, --masks for a table, or both")
    config = args.settings
    if args.encoder_weights:
        config = replace(config, encoder=replace(config.encoder, weights=args.encoder_weights))
    try:
        bars, annotated = Bars(), []
        if args.masks:
            held = split_photos(args.photos, args.split)[1]
            annotated = with_masks(held, materials_of(args.photos), args.masks)
        teacher = load_or_train(
            args.photos, args.cache, config, args.split, args.objects, annotated, bars, args.device
        )
        if args.out:
            write_masks(teacher, material_photos(args.photos), args.out, args.method, partial(bars, "masks"))
        if args.masks:
            print(compare(teacher, annotated, args.cache, bars))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
