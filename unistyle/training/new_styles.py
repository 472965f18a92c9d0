"""New styles fitted to their photos in minutes, with the losses of the joint training.

What is fitted are the codes of the exemplars, starting from what the encoder gives for their photos, and, if asked,
the decoder, which all styles share: old styles are then held where they were, by the distance of the results to those
of the network as it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, checkpoint_file, load_checkpoint, save_checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.devices import pick_device
from unistyle.errors import StyleError
from unistyle.files.samples import content_photos
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.maths.schedules import warm_cosine
from unistyle.network.stylizer import Stylizer
from unistyle.styles.choice import pick
from unistyle.styles.exemplars import Exemplar, bank_of, read_exemplars, style_folders
from unistyle.teachers.vgg import read_vgg
from unistyle.training.config import StyleConfig, check_counts
from unistyle.training.fitting import Fitting, distances, old_moved, prepare_fitting, preview
from unistyle.training.loop import Means
from unistyle.training.losses import finite, pixel_terms, style_terms
from unistyle.training.targets.recognition import Seen

WARMUP = 10  # steps until the learning rate is reached


def decoder_parameters(stylizer: Stylizer) -> list[nn.Parameter]:
    """All parameters but those that codes are made with, so that a code keeps its meaning."""
    encoding = [*stylizer.adapters.parameters(), *stylizer.projections.parameters()]
    return [p for p in stylizer.parameters() if not any(p is other for other in encoding)]


class StyleTrainer:
    """Exemplars fitted to their photos, on crops of photos of anything."""

    def __init__(self, fitting: Fitting, config: StyleConfig):
        self.fitting, self.config, self.stylizer = fitting, config, fitting.network.stylizer
        self.generator = torch.Generator().manual_seed(config.seed)
        # A tensor for each: Adam passes by those that had no part in a step.
        self.moved = [torch.zeros_like(code, requires_grad=True) for code in fitting.start]
        groups: list[dict[str, Any]] = [{"params": self.moved}]
        if config.decoder:
            groups.append({"params": decoder_parameters(self.stylizer), "lr": config.decoder_lr})
        self.optimizer = torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))
        self.schedule = warm_cosine(self.optimizer, self.steps, WARMUP)

    @property
    def steps(self) -> int:
        return self.config.steps * len(self.moved)

    def code(self, row: int) -> Tensor:
        """The code of one exemplar, `d`. It moves in units of the spread over photos."""
        return self.fitting.start[row] + self.fitting.spread * self.moved[row]

    def _draw(self, count: int, below: int) -> list[int]:
        return torch.randint(below, (count,), generator=self.generator).tolist()

    def terms(self, row: int) -> dict[str, Tensor]:
        """The terms of the joint objective for one exemplar on a batch of crops."""
        rows = self._draw(self.config.batch, self.fitting.fitted_to)
        photo, features = self.fitting.contents.batch(rows)
        region, exemplar = torch.ones_like(photo[:, :1]), self.fitting.exemplars[row]
        image = self.stylizer(features, region, self.code(row).expand(len(rows), 1, -1), photo.shape[-2:])
        style, style_region = (
            x.to(photo.device).expand(len(rows), -1, -1, -1) for x in (exemplar.image, exemplar.region)
        )
        batch = dict(
            photo=photo, region=region, photo_key=[str(i) for i in rows], style=style, style_region=style_region,
            style_key=[f"style {row}"] * len(rows), gatys=photo, same=photo.new_zeros(len(rows)),
            fixed=photo.new_full((len(rows),), -1),
        )  # fmt: skip
        margin = self.config.loss.content_margin
        targets = self.fitting.targets
        return style_terms(batch, Seen(targets.vgg, image), targets, margin) | pixel_terms(batch, image)

    def held(self) -> Tensor:
        """How far results of old styles, those of the bank and the crops' own, are from what they were."""
        rows = self._draw(self.config.batch, self.fitting.fitted_to)
        photo, features = self.fitting.contents.batch(rows)
        region = torch.ones_like(photo[:, :1])
        codes = self.fitting.old[self._draw(len(rows), len(self.fitting.old))][:, None]
        (place,) = self._draw(1, 2**31)  # of the noise, which both have to share on any device
        torch.manual_seed(place)
        with torch.no_grad():
            before = self.fitting.before(features, region, codes, photo.shape[-2:])
        torch.manual_seed(place)
        return (self.stylizer(features, region, codes, photo.shape[-2:]) - before).abs().mean()

    def step(self, number: int) -> dict[str, Tensor]:
        """Fit one exemplar, in its turn, by one step; returns the values of the terms."""
        weights = asdict(self.config.loss) | {"held": self.config.held}
        terms = self.terms(number % len(self.moved))
        if self.config.decoder:
            terms["held"] = self.held()
        finite(terms, number)
        self.optimizer.zero_grad()
        sum(weights[name] * value for name, value in terms.items()).backward()
        self.optimizer.step()
        self.schedule.step()
        return terms

    def run(self) -> Tensor:
        """Fit; returns the codes `n d`, on the CPU. The decoder is fitted in place."""
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        self.stylizer.train()
        self.fitting.before.train()
        # The noise's place is drawn from the global generator; forked, the caller's stream stays as it was.
        with torch.random.fork_rng(devices=[]), tqdm(total=self.steps, desc="fitting") as bar:
            torch.manual_seed(self.config.seed)
            means = Means(bar, ("style", "content", "held"))
            for number in range(self.steps):
                means.add(self.step(number))
                means.step()
        self.stylizer.eval()
        self.fitting.before.eval()
        self.fitting.network.requires_grad_(False)
        return torch.stack([self.code(row) for row in range(len(self.moved))]).detach().cpu()


def train_styles(config: StyleConfig) -> list[str]:
    """Fit the styles of the folders and write the checkpoint; returns a message for each photo that could not be used.

    Raises StyleError, CheckpointError, ImageError, ValueError or OSError before anything is written."""
    check_counts(config, "exemplars", "steps", "batch")
    checkpoint_file(config.out)
    device = pick_device(config.device)
    checkpoint, folders = load_checkpoint(config.checkpoint), style_folders(config.styles)
    _refuse_taken(checkpoint, folders, config)
    vgg = read_vgg(config.vgg).to(device)
    photos = [LabelledPhoto(path) for path in content_photos(config.contents or None)]
    found, problems = read_exemplars(checkpoint.network, folders, config.whole)
    exemplars = pick(checkpoint.network, found, config.exemplars)
    fitting = prepare_fitting(checkpoint, exemplars, photos, vgg, config)
    before = distances(fitting, fitting.before, fitting.start)
    codes = StyleTrainer(fitting, config).run()
    after = distances(fitting, fitting.network.stylizer, codes)
    report(before, after, old_moved(fitting) if config.decoder else 0.0)
    path = _write(checkpoint, exemplars, codes, config)
    picture = path.with_suffix(".png")
    save_png(to_pil(preview(fitting, codes)), picture)
    print(f"{', '.join(found)} in {path}; what fitting changed in {picture}")
    return problems


def _refuse_taken(checkpoint: Checkpoint, folders: Mapping[str, Any], config: StyleConfig) -> None:
    """Here, not when the fitted styles join: by then it would be minutes later."""
    taken = [name for name in folders if name in checkpoint.bank.styles]
    if taken and not config.replace:
        raise StyleError(
            f"the bank has styles of the name {', '.join(map(repr, taken))}; rename the folder, or give --replace true "
            "to lose the bank's own"
        )


def _write(checkpoint: Checkpoint, exemplars: Sequence[Exemplar], codes: Tensor, config: StyleConfig) -> Path:
    """The checkpoint with the fitted exemplars in its bank."""
    fitted = [replace(e, code=code) for e, code in zip(exemplars, codes, strict=True)]
    bank = checkpoint.bank.joined(bank_of(fitted), config.replace)
    # Without the decoder the weights go back as they were, whatever the file's precision.
    half = True if config.decoder else None
    return save_checkpoint(config.out, replace(checkpoint, bank=bank), half=half)


def report(before: dict[str, float], after: dict[str, float], moved: float) -> None:
    """Print what fitting changed; moved: of old styles, as a share."""
    change = 100 * (after["gram"] / before["gram"] - 1)
    gram, content = (f"{before[key]:.3f} -> {after[key]:.3f}" for key in ("gram", "content"))
    print(f"on crops not fitted to: Gram distance to the styles {gram} ({change:+.0f} %), content distance {content}; "
          f"old styles moved by {100 * moved:.1f} %")  # fmt: skip
