"""Trials of ideas: short runs of the training that differ in one thing each, and a table of what each gave.

    python -m benchmarks.trials configs/trials.yaml --data DATA/fmd --out runs/trials [NAME ...]

The YAML file has three keys. `recipe` is the name of a config of `unistyle train` beside it. `settings` are the dotted
keys that differ from the recipe in every trial. `trials` holds the name of each trial, and the dotted keys that it
changes.

Each trial trains with the same seed. It leaves in `OUT/NAME` its checkpoint, `scores.json` (medians on `val`) and
`sheet.jpg`. What is finished is not done again. An idea that needs code is tried by running the protocol's control
under another name (`--as NAME`) with that code in place. The table is printed as Markdown, with every trial that has
its scores in OUT.
"""

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml
from tqdm import tqdm

from benchmarks.figure import MATERIALS, sheet
from benchmarks.speed import milliseconds
from unistyle import UniStyle
from unistyle.checkpoint.checkpoint import save_checkpoint
from unistyle.commands.arguments import argument, parser_of, read, run, whole_number
from unistyle.commands.train import parse
from unistyle.data.labelled import LabelledPhoto
from unistyle.errors import UsageError
from unistyle.evaluation.measures import evaluate_bank, evaluate_masks, evaluate_style
from unistyle.evaluation.methods import public_method
from unistyle.evaluation.pairs import annotated_split, make_pairs, photo_name
from unistyle.evaluation.rows import Row, summary
from unistyle.files.atomic import atomic
from unistyle.files.samples import sample_photos
from unistyle.network.model import UniStyleNetwork
from unistyle.teachers.vgg import STYLE_LAYERS, VGG19, read_vgg
from unistyle.training.config import TrainConfig
from unistyle.training.finish import release
from unistyle.training.losses import VGGTargets
from unistyle.training.preparation import make_accelerator, prepare
from unistyle.training.trainer import Trainer

NAME = "python -m benchmarks.trials"
CONTROL = "control"


@dataclass(kw_only=True)
class Settings:
    """Train short runs that differ in one thing each, and print a table of what each gave.

    python -m benchmarks.trials configs/trials.yaml --data DATA/fmd --out runs/trials
    """

    plan: Path = argument(positional=True, metavar="PLAN")
    """YAML file of the trials."""
    names: list[str] = argument([], positional=True, nargs="*", metavar="NAME")
    """The trials to run. Without it, all of the plan."""
    as_: str | None = argument(None, metavar="NAME")
    """Run the control's settings under this name."""
    data: Path = argument(metavar="FOLDER")
    """Folder with image/MATERIAL/STEM.jpg, mask/MATERIAL/STEM.png, train.txt and val.txt."""
    out: Path = argument(Path("runs/trials"), metavar="FOLDER")
    """Where the trials are kept."""
    pairs: int = argument(120, type=whole_number(1))
    """Pairs of photo and style that the style figures are measured on."""
    photos: list[Path] | None = argument(None, nargs="+", metavar="PHOTO")
    """Photos of the sheet. Without it, the sample photos."""


def config_of(plan: dict, folder: Path, name: str, changes: dict, out: Path) -> TrainConfig:
    """The whole config of one trial. `folder` is where the recipe lies."""
    chosen = {**plan.get("settings", {}), **changes, "out": str(out / name / "run")}
    chosen["checkpoint"] = str(out / name / "checkpoint.safetensors")
    flags = [
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen.items()
    ]
    return parse(["--config", str(folder / plan["recipe"]), *flags])


def train(config: TrainConfig, kept: dict[str, VGGTargets]) -> None:
    """Train and write the checkpoint. `kept` passes what VGG-19 says of the same crops on to the next trial."""
    prepared = prepare(config, make_accelerator(config.optimizer))
    crops = json.dumps([asdict(config.data), config.seed, config.teachers.vgg, prepared.vgg.layers])
    if crops not in kept:
        kept.clear()  # one set of features at a time fits into memory
    targets = kept.setdefault(crops, VGGTargets(prepared.vgg, config.cache_gb * 2**30))
    averaged = Trainer(prepared, targets).run()
    save_checkpoint(config.checkpoint, release(averaged.module, prepared))


@torch.inference_mode()
def scores(checkpoint: str, data: Path, vgg: VGG19, pairs: int) -> dict[str, float]:
    """Medians of `unistyle evaluate style` and `bank` on `val`, mean IU of the masks, and milliseconds at 512 px."""
    model = UniStyle.from_pretrained(checkpoint)
    contents, train = (annotated_split(data, split) for split in ("val", "train"))
    chosen = make_pairs(contents, contents + train, pairs, seed=0)
    rows = list(evaluate_style(tqdm(chosen, desc="style"), public_method(model), vgg))
    result = {name: x["median"] for name, x in summary(rows).items()}
    exemplars = {photo_name(photo): photo for photo in contents + train}
    bank = list(evaluate_bank(model, tqdm(chosen[: pairs // 2], desc="bank"), exemplars, vgg))
    result |= {f"bank_{name}": summary(bank)[name]["median"] for name in ("relative", "content")}
    return result | {"masks": mask_score(model.network, contents), "ms": time_of(model.network)}


def mask_score(network: UniStyleNetwork, photos: Sequence[LabelledPhoto]) -> float:
    """Mean IU of the masks on the photos with a boundary."""
    rows: list[Row] = list(evaluate_masks(network, tqdm(photos, desc="masks")))
    return summary([row for row in rows if row["boundary"]])["mean_iu"]["mean"]


def time_of(network: UniStyleNetwork) -> float:
    """Milliseconds of one pass over a photo of 512 x 512, the median of eleven after two that warm up."""
    photo = torch.rand(1, 3, 512, 512).contiguous(memory_format=torch.channels_last)
    code = network.encode_style(photo)
    times = [milliseconds(lambda: network(photo, code), photo.device) for _ in range(13)]
    return sorted(times[2:])[5]


def picture(checkpoint: str, photos: Sequence[Path], path: Path) -> None:
    """Photos in several materials."""
    model = UniStyle.from_pretrained(checkpoint)
    styles = [name for name in MATERIALS if name in model.styles] or model.styles
    sheet(model, photos, styles).save(path, quality=85)


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown. Gram distance, moments and luminance are relative to the untouched photo's; layers are from relu1_1
    on."""
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


def trials_of(settings: Settings, plan: dict) -> dict[str, dict]:
    """The trials to run, and what each changes. Raises UsageError for a name that the plan does not have."""
    trials = {settings.as_: {}} if settings.as_ else plan["trials"]
    if unknown := set(settings.names) - set(trials):
        raise UsageError(
            f"no trial {', '.join(sorted(unknown))} in {settings.plan}: choose from {', '.join(trials)}"
        )
    return {name: trials[name] or {} for name in settings.names or trials}


def carry_out(config: TrainConfig, folder: Path, settings: Settings, kept: dict[str, VGGTargets]) -> None:
    """Train, measure and draw one trial."""
    train(config, kept)
    found = scores(config.checkpoint, settings.data, read_vgg(config.teachers.vgg), settings.pairs)
    picture(config.checkpoint, settings.photos or sample_photos(), folder / "sheet.jpg")
    with atomic(folder / "scores.json") as temporary:
        temporary.write_text(json.dumps(found, indent=1))
    gc.collect()


def study(settings: Settings) -> None:
    plan, kept = yaml.safe_load(settings.plan.read_text()), {}
    for name, changes in trials_of(settings, plan).items():
        folder = settings.out / name
        if not (folder / "scores.json").is_file():
            config = config_of(plan, settings.plan.parent, name, changes, settings.out)
            carry_out(config, folder, settings, kept)
    files = sorted(
        settings.out.glob("*/scores.json"), key=lambda p: (p.parent.name != CONTROL, p.parent.name)
    )
    print(table({p.parent.name: json.loads(p.read_text()) for p in files}))


def main(argv: list[str] | None = None) -> int:
    return run(NAME, lambda: study(read(parser_of(NAME, Settings), Settings, argv)))


if __name__ == "__main__":
    sys.exit(main())
