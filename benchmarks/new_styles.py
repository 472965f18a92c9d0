"""New styles from folders of texture: added without training, fitted, and fitted with the decoder.

    python benchmarks/new_styles.py --checkpoint runs/held-out/checkpoint.safetensors --data ../shared/data/fmd \\
        --styles ../shared/data/textures/dtd/cracked ../shared/data/textures/dtd/braided \\
        --contents ../shared/data/content --vgg-weights ../shared/weights/vgg19_features.safetensors \\
        --out runs/new_styles

Restyles annotated photos that nothing was fitted to, inside their masks, with each exemplar in turn, and scores the
results against the exemplar (unistyle.scores), the old styles against theirs. Prints medians and means a style, and
writes them and a contact sheet to --out.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer, read_sized
from unistyle.evaluation.measures import evaluate_bank
from unistyle.evaluation.pairs import SIZE, make_pairs, split_photos
from unistyle.evaluation.rows import summary
from unistyle.evaluation.scores import style_scores
from unistyle.evaluation.sheets import page
from unistyle.files.atomic import atomic
from unistyle.files.folders import list_images
from unistyle.files.samples import content_photos
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.maths.masks import AREA
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.exemplars import Exemplar, bank_of, choose, read_exemplars
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import StyleConfig
from unistyle.training.new_styles import StyleTrainer

KEPT = ("gram", "relative", "luminance", "content", "shading", "period2", "period4")


def contents(data: Path, count: int) -> list[tuple[Tensor, Tensor]]:
    """Photos `1 3 h w` of `val` with annotated regions `1 1 h w` of a tenth of the frame or more."""
    photos = split_photos(data, "val")
    random.Random(0).shuffle(photos)
    sized = (read_sized(photo.path, photo.mask, SIZE) for photo in photos)
    return [pair for pair in sized if pair[1].mean() >= AREA][:count]


@torch.no_grad()
def restyled(checkpoint: Checkpoint, exemplars: Sequence[Exemplar], codes: Tensor, photos) -> list[Tensor]:
    """Each photo in its turn's exemplar, `1 3 h w`."""
    turns = ((photo, region, codes[i % len(exemplars)]) for i, (photo, region) in enumerate(photos))
    return [checkpoint.network(photo, code[None, None], region).image for photo, region, code in turns]


def scores(vgg: VGG19, exemplars: Sequence[Exemplar], photos, results: Sequence[Tensor]) -> list[dict]:
    rows = []
    for i, ((photo, region), result) in enumerate(zip(photos, results, strict=True)):
        exemplar = exemplars[i % len(exemplars)]
        found = style_scores(vgg, Transfer(photo, exemplar.image, region, exemplar.region), result)
        rows.append({key: found[key] for key in KEPT})
    return rows


def old_styles(checkpoint: Checkpoint, data: Path, vgg: VGG19, count: int) -> list[dict]:
    """The styles of the bank that a checkpoint came with, against their own exemplars."""
    held, train = split_photos(data, "val"), split_photos(data, "train")
    exemplars = {f"{p.path.parent.name}/{p.path.stem}": p for p in held + train}
    pairs = make_pairs(held, held + train, count, seed=0)
    return list(evaluate_bank(UniStyle(checkpoint, "cpu"), tqdm(pairs, desc="old styles"), exemplars, vgg))


def line(name: str, rows: Sequence[dict], before: Sequence[dict]) -> str:
    now, then = summary(rows), summary(before)
    change = {kind: 100 * (now["relative"][kind] / then["relative"][kind] - 1) for kind in ("median", "mean")}
    values = "  ".join(f"{key} {now[key]['median']:.3f}" for key in KEPT)
    return f"{name:24} {values}  Gram distance {change['median']:+.0f} % (means {change['mean']:+.0f} %)"


def study(args: argparse.Namespace, folder: Path, vgg: VGG19) -> dict:
    """One folder: rows of every way, seconds, and the sheet written."""
    photos = contents(args.data, args.photos)
    paths = random.Random(0).sample(list_images(folder), args.exemplar_photos)
    others = [LabelledPhoto(path) for path in content_photos(args.contents)]
    found: dict[str, list[dict]] = {}
    pictures, seconds = {}, {}
    for way in ("added", "fitted", "decoder"):
        start = time.perf_counter()
        checkpoint = load_checkpoint(args.checkpoint)
        read = read_exemplars(checkpoint.network, {folder.name: paths}, whole=True)[0][folder.name]
        exemplars = choose(read, 3, checkpoint.network.stylizer.code_sizes[0])
        codes = torch.stack([e.code for e in exemplars])
        if way != "added":
            config = StyleConfig(str(folder), args.checkpoint, "", decoder=way == "decoder", **args.settings)
            trainer = StyleTrainer(checkpoint, exemplars, others, vgg, config)
            codes = trainer.run()
            if config.decoder:
                print(f"old styles moved by {100 * trainer.old_moved():.2f} % (Gram distance of results)")
        seconds[way] = time.perf_counter() - start
        pictures[way] = restyled(checkpoint, exemplars, codes, photos)
        found[way] = scores(vgg, exemplars, photos, pictures[way])
        print(line(f"{folder.name} {way}", found[way], found["added"]), f" {seconds[way]:.0f} s", flush=True)
        if way in args.old:
            fitted = [replace(e, code=code) for e, code in zip(exemplars, codes, strict=True)]
            checkpoint = replace(checkpoint, bank=checkpoint.bank.joined(bank_of(fitted)))
            found[f"old styles, {way}"] = old_styles(checkpoint, args.data, vgg, args.pairs)
            first = found["old styles, added"]
            print(line(f"old styles, {way}", found[f"old styles, {way}"], first), flush=True)
    cells = [
        [
            to_pil(photos[i][0][0]),
            to_pil(exemplars[i % 3].image[0]),
            *(to_pil(p[i][0]) for p in pictures.values()),
        ]
        for i in range(args.rows)
    ]
    save_png(page(["photo", f"style: {folder.name}", *pictures], cells, 256), args.out / f"{folder.name}.png")
    return {"rows": found, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--styles", type=Path, nargs="+", required=True, help="folders of style photos")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of image/, mask/, train.txt, val.txt"
    )
    parser.add_argument("--contents", type=Path, nargs="+", help="restyled while fitting (default: samples)")
    parser.add_argument("--vgg-weights", type=Path, help="safetensors file (default: from the hub)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=60, help="that results are measured on (default: 60)")
    parser.add_argument("--exemplar-photos", type=int, default=20, help="taken of each folder (default: 20)")
    parser.add_argument("--pairs", type=int, default=40, help="of photo and old style (default: 40)")
    parser.add_argument("--rows", type=int, default=9, help="of the contact sheet (default: 9)")
    parser.add_argument(
        "--old", nargs="*", default=["added", "decoder"], help="ways that old styles are measured for"
    )
    parser.add_argument("--settings", type=json.loads, default={}, help="of StyleConfig, as JSON")
    args = parser.parse_args()
    vgg = VGG19(args.vgg_weights)
    results = {folder.name: study(args, folder, vgg) for folder in args.styles}
    with atomic(args.out / "scores.json") as temporary:
        temporary.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
