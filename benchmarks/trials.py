"""Trials of ideas: short runs of the training alike in all but one thing, and a table of what each gave.

    python benchmarks/trials.py configs/trials.yaml --data ../shared/data/fmd --out runs/trials [NAME ...]

The YAML file holds `recipe` (a config of `train.py`, beside it), `settings` (dotted keys that differ from it in every
trial) and `trials`: a name and the dotted keys that this trial changes. Each trial trains with the same seed, and
leaves in `OUT/NAME` its checkpoint, `scores.json` (medians on `val`) and `sheet.jpg`; what is finished is not done
again. An idea that needs code is tried by running the protocol's control under another name (`--as NAME`) with that
code in place. The table is printed as Markdown, with every trial that has its scores in OUT.
"""

import argparse
import gc
import json
from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from tqdm import tqdm

from benchmarks.figure import MATERIALS, row, sheet
from benchmarks.speed import milliseconds
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import save_checkpoint
from unistyle.commands.train import parse
from unistyle.evaluation import measures as evaluation
from unistyle.evaluation.methods import network_method
from unistyle.evaluation.pairs import make_pairs, split_photos
from unistyle.evaluation.rows import summary
from unistyle.files.atomic import atomic
from unistyle.files.samples import sample_photos
from unistyle.teachers.vgg import STYLE_LAYERS, VGG19
from unistyle.training.config import TrainConfig
from unistyle.training.finish import release
from unistyle.training.trainer import Trainer

ROOT = Path(__file__).parent.parent

CONTROL = "control"


def settings(plan: dict, folder: Path, name: str, changes: dict, out: Path) -> TrainConfig:
    """The whole config of one trial; `folder` is where the recipe lies."""
    chosen = {**plan.get("settings", {}), **changes, "out": str(out / name / "run")}
    chosen["checkpoint"] = str(out / name / "checkpoint.safetensors")
    flags = [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen.items()
    ]
    return parse(["--config", str(folder / plan["recipe"]), *flags])


def run(config: TrainConfig, kept: dict) -> None:
    """Train and write the checkpoint. `kept` passes what VGG-19 says of the same crops on to the next trial."""
    trainer = Trainer(config)
    crops = json.dumps([asdict(config.data), config.seed, config.teachers.vgg, trainer.vgg.layers])
    if crops not in kept:
        kept.clear()  # one set of features at a time fits into memory
    trainer.targets = kept.setdefault(crops, trainer.targets)
    save_checkpoint(config.checkpoint, release(trainer.run().module, config))


@torch.inference_mode()
def scores(checkpoint: str, data: Path, vgg: VGG19, pairs: int) -> dict[str, float]:
    """Medians of the style and bank commands of `unistyle.evaluation` on `val`, mean IU of the masks, ms at 512."""
    model = UniStyle.from_pretrained(checkpoint)
    contents, train = (split_photos(data, split) for split in ("val", "train"))
    chosen = make_pairs(contents, contents + train, pairs, seed=0)
    rows = evaluation.evaluate_style(tqdm(chosen, desc="style"), network_method(model.network), vgg)
    result = {name: x["median"] for name, x in summary(list(rows)).items()}
    exemplars = {"/".join(p.path.with_suffix("").parts[-2:]): p for p in contents + train}
    bank = list(evaluation.evaluate_bank(model, tqdm(chosen[: pairs // 2], desc="bank"), exemplars, vgg))
    result |= {f"bank_{name}": summary(bank)[name]["median"] for name in ("relative", "content")}
    masks = [
        r for r in evaluation.evaluate_masks(model.network, tqdm(contents, desc="masks")) if r["boundary"]
    ]
    result["masks"] = summary(masks)["mean_iu"]["mean"]
    photo = torch.rand(1, 3, 512, 512).contiguous(memory_format=torch.channels_last)
    code = model.network.encode_style(photo)
    times = [milliseconds(lambda: model.network(photo, code), photo.device) for _ in range(13)]
    return result | {"ms": sorted(times[2:])[5]}


def picture(checkpoint: str, photos: list[Path], path: Path) -> None:
    """Photos in several materials."""
    model = UniStyle.from_pretrained(checkpoint)
    styles = tuple(name for name in MATERIALS if name in model.styles) or tuple(model.styles)
    rows = [row(model, photo, styles, (208, 156)) for photo in photos]
    sheet(rows, ["photo", "mask", *styles]).save(path, quality=85)


def table(found: dict[str, dict[str, float]]) -> str:
    """Markdown; Gram distance, moments and luminance relative to the untouched photo's, by layer from relu1_1 on."""
    heads = ("trial", "Gram", "by layer", "moments", "by layer", "luminance", "content", "shading", "rim",
             "period 2, 4", "bank Gram, content", "masks", "ms")  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, s in found.items():
        join = lambda keys, s=s: " ".join(f"{s[key]:.2f}" for key in keys)  # noqa: E731
        cells = [name, f"{s['relative']:.3f}", join(STYLE_LAYERS), f"{s['moments']:.3f}",
                 join(f"m_{layer}" for layer in STYLE_LAYERS), f"{s['luminance']:.3f}", f"{s['content']:.3f}",
                 f"{s['shading']:.3f}", f"{s['rim']:+.2f}", join(("period2", "period4")),
                 f"{s['bank_relative']:.3f} {s['bank_content']:.2f}", f"{s['masks']:.3f}",
                 f"{s['ms']:.0f}"]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path, help="YAML file of the trials")
    parser.add_argument("names", nargs="*", help="trials to run (default: all of the plan)")
    parser.add_argument(
        "--as", dest="alias", metavar="NAME", help="run the control's settings under this name"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of image/, mask/, train.txt, val.txt"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/trials"))
    parser.add_argument("--pairs", type=int, default=120, help="of the style figures (default: %(default)s)")
    parser.add_argument("--photos", type=Path, nargs="+", help="of the sheet (default: the sample photos)")
    args = parser.parse_args(argv)
    plan = yaml.safe_load(args.plan.read_text())
    trials = {args.alias: {}} if args.alias else plan["trials"]
    if unknown := set(args.names) - set(trials):
        parser.error(f"no trial {sorted(unknown)} in {args.plan}: choose from {', '.join(trials)}")
    kept = {}
    for name in args.names or trials:
        folder = args.out / name
        if (folder / "scores.json").is_file():
            continue
        config = settings(plan, args.plan.parent, name, trials[name] or {}, args.out)
        run(config, kept)
        found = scores(config.checkpoint, args.data, VGG19(config.teachers.vgg), args.pairs)
        picture(config.checkpoint, args.photos or sample_photos(), folder / "sheet.jpg")
        with atomic(folder / "scores.json") as temporary:
            temporary.write_text(json.dumps(found, indent=1))
        gc.collect()
    files = sorted(args.out.glob("*/scores.json"), key=lambda p: (p.parent.name != CONTROL, p.parent.name))
    print(table({p.parent.name: json.loads(p.read_text()) for p in files}))


if __name__ == "__main__":
    main()
