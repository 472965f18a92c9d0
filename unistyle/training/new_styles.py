"""New styles fitted to their photos in minutes, with the losses of the joint training.

What is fitted are the codes of the exemplars, starting from what the encoder gives for their photos, and, if asked,
the decoder, which all styles share: old styles are then held where they were, by the distance of the results to those
of the network as it was.
"""

import copy
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch
from torch import Tensor, nn
from torchvision.utils import make_grid
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unistyle.data.labelled import LabelledPhoto
from unistyle.data.transfer import Transfer
from unistyle.data.views import crop
from unistyle.devices import pick_device
from unistyle.errors import StyleError
from unistyle.evaluation.scores import style_scores
from unistyle.files.samples import content_photos
from unistyle.files.tensors import to_pil
from unistyle.files.writing import save_png
from unistyle.maths.resizing import resize
from unistyle.network.model import UniStyleNetwork
from unistyle.network.stylizer import Stylizer
from unistyle.styles.exemplars import Exemplar, bank_of, pick, read_exemplars, style_folders
from unistyle.teachers.vgg import VGG19, read_vgg
from unistyle.training.config import StyleConfig, check_counts
from unistyle.training.losses import VGGTargets, finite, pixel_terms, style_terms

SIDE = 128  # pixels of the square crops that are restyled
CROPS = 96  # of these a part is held out, to measure on
HELD_OUT = 8
CACHE = 2 * 2**30  # bytes of VGG-19's features of crops and styles that are kept


class Contents:
    """Crops of photos `n 3 s s`, with the encoder's features of them, which fitting does not change."""

    @torch.no_grad()
    def __init__(self, network: UniStyleNetwork, photos: Sequence[LabelledPhoto], count: int, seed: int):
        device = next(network.parameters()).device
        # Photos of all folders alike, in turn, each time another crop of them.
        photos = random.Random(seed).sample(list(photos), len(photos))
        crops = [crop(photos[i % len(photos)], SIDE, i // len(photos), seed)[0] for i in range(count)]
        self.photos = torch.stack(crops).to(device)
        parts = [network.encoder(batch) for batch in self.photos.split(8)]
        self.features = [torch.cat(level) for level in zip(*parts, strict=True)]

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        return self.photos[rows], [f[rows] for f in self.features]

    def codes(self, stylizer: Stylizer) -> Tensor:
        """The crops' own codes `n d`."""
        return stylizer.encode(self.features, torch.ones_like(self.photos[:, :1]))[:, 0]


def decoder_parameters(stylizer: Stylizer) -> list[nn.Parameter]:
    """All but what codes are made with: a code keeps its meaning."""
    encoding = [*stylizer.adapters.parameters(), *stylizer.projections.parameters()]
    return [p for p in stylizer.parameters() if not any(p is other for other in encoding)]


class StyleTrainer:
    """Exemplars fitted to their photos, on crops of photos of anything."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        exemplars: Sequence[Exemplar],
        photos: Sequence[LabelledPhoto],
        vgg: VGG19,
        config: StyleConfig,
    ):
        self.config, self.exemplars = config, exemplars
        self.device = vgg.mean.device
        self.network = checkpoint.network.to(self.device).requires_grad_(False)
        self.before = copy.deepcopy(self.network.stylizer)
        self.stylizer = self.network.stylizer
        self.targets = VGGTargets(vgg, CACHE)
        self.contents = Contents(self.network, photos, CROPS, config.seed)
        own = self.contents.codes(self.stylizer)
        self.old = torch.cat([checkpoint.bank.codes.to(self.device), own])
        # Steps in units of how much each number of a code differs from photo to photo.
        self.spread = own.std(0).clamp_min(1e-3)
        self.start = torch.stack([e.code for e in exemplars]).to(self.device)
        # A tensor for each: Adam passes by those that had no part in a step.
        self.moved = [torch.zeros_like(code, requires_grad=True) for code in self.start]
        self.generator = torch.Generator().manual_seed(config.seed)
        self._prepare()

    def _prepare(self) -> None:
        config, groups = self.config, [{"params": self.moved}]
        if config.decoder:
            decoder = decoder_parameters(self.stylizer)
            for parameter in decoder:
                parameter.requires_grad_(True)
            groups.append({"params": decoder, "lr": config.decoder_lr})
        self.optimizer = torch.optim.Adam(groups, lr=config.lr, betas=(0.9, 0.99))
        steps = self.steps

        def factor(step: int) -> float:
            """Linear warm-up, then a cosine."""
            return min(1.0, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / steps))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    @property
    def steps(self) -> int:
        return self.config.steps * len(self.exemplars)

    def code(self, row: int) -> Tensor:
        """Of one exemplar, `d`."""
        return self.start[row] + self.spread * self.moved[row]

    def _draw(self, count: int, below: int) -> list[int]:
        return torch.randint(below, (count,), generator=self.generator).tolist()

    def terms(self, row: int) -> dict[str, Tensor]:
        """The terms of the joint objective for one exemplar on a batch of crops."""
        rows = self._draw(self.config.batch, CROPS - HELD_OUT)
        photo, features = self.contents.batch(rows)
        region, exemplar = torch.ones_like(photo[:, :1]), self.exemplars[row]
        image = self.stylizer(features, region, self.code(row).expand(len(rows), 1, -1), photo.shape[-2:])
        style, style_region = (
            x.to(self.device).expand(len(rows), -1, -1, -1) for x in (exemplar.image, exemplar.region)
        )
        batch = dict(
            photo=photo, region=region, photo_key=[str(i) for i in rows], style=style, style_region=style_region,
            style_key=[f"style {row}"] * len(rows), gatys=photo, same=photo.new_zeros(len(rows)),
            fixed=photo.new_full((len(rows),), -1),
        )  # fmt: skip
        return style_terms(batch, image, self.targets, self.config.loss.content_margin) | pixel_terms(
            batch, image
        )

    def held(self) -> Tensor:
        """How far results of old styles, those of the bank and the crops' own, are from what they were."""
        rows = self._draw(self.config.batch, CROPS - HELD_OUT)
        photo, features = self.contents.batch(rows)
        region = torch.ones_like(photo[:, :1])
        codes = self.old[self._draw(len(rows), len(self.old))][:, None]
        (place,) = self._draw(1, 2**31)  # of the noise, which both have to share on any device
        torch.manual_seed(place)
        with torch.no_grad():
            before = self.before(features, region, codes, photo.shape[-2:])
        torch.manual_seed(place)
        return (self.stylizer(features, region, codes, photo.shape[-2:]) - before).abs().mean()

    def step(self, number: int) -> dict[str, float]:
        weights = asdict(self.config.loss) | {"held": self.config.held}
        terms = self.terms(number % len(self.exemplars))
        if self.config.decoder:
            terms["held"] = self.held()
        finite(terms, number)
        self.optimizer.zero_grad()
        sum(weights[name] * value for name, value in terms.items()).backward()
        self.optimizer.step()
        self.schedule.step()
        return {name: value.item() for name, value in terms.items()}

    def run(self) -> Tensor:
        """Fit; returns the codes `n d`, on the CPU. The decoder is fitted in place."""
        means: dict[str, float] = {}
        self.stylizer.train()
        self.before.train()
        # The noise's place is drawn from the global generator; forked, the caller's stream stays as it was.
        with torch.random.fork_rng(devices=[]), tqdm(total=self.steps, desc="fitting") as bar:
            torch.manual_seed(self.config.seed)
            for number in range(self.steps):
                for name, value in self.step(number).items():
                    means[name] = 0.95 * means.get(name, value) + 0.05 * value
                shown = {k: f"{v:.3f}" for k, v in means.items() if k in ("style", "content", "held")}
                bar.set_postfix(shown, refresh=False)
                bar.update()
        self.stylizer.eval()
        self.before.eval()
        self.network.requires_grad_(False)
        return torch.stack([self.code(row) for row in range(len(self.exemplars))]).detach().cpu()

    @property
    def crops(self) -> range:
        """Rows of the crops that are not fitted to."""
        return range(CROPS - HELD_OUT, CROPS)

    @torch.no_grad()
    def render(self, stylizer: Stylizer, code: Tensor, row: int) -> Tensor:
        """One crop restyled as a whole, `1 3 s s`."""
        photo, features = self.contents.batch([row])
        region = torch.ones_like(photo[:, :1])
        return stylizer(features, region, code.to(self.device)[None, None], photo.shape[-2:])

    def distances(self, stylizer: Stylizer, codes: Tensor) -> dict[str, float]:
        """Means over the exemplars and the crops not fitted to: gram, the Gram distance to the exemplar, that of the
        untouched crop being 1; content, the content distance to the crop."""
        scores = []
        for exemplar, code in zip(self.exemplars, codes, strict=True):
            for row in self.crops:
                photo = self.contents.batch([row])[0]
                style, region = (x.to(self.device) for x in (exemplar.image, exemplar.region))
                job = Transfer(photo, style, torch.ones_like(photo[:, :1]), region)
                scores.append(style_scores(self.targets.vgg, job, self.render(stylizer, code, row)))
        return {
            name: sum(s[key] for s in scores) / len(scores)
            for name, key in (("gram", "relative"), ("content", "content"))
        }

    def old_moved(self) -> float:
        """How far results of old styles are from what they were: the Gram distance between the two, that between
        photo and result being 1; a mean over the crops not fitted to, each in another style."""
        far = []
        for row in self.crops:
            code = self.old[row * 7 % len(self.old)]
            photo = self.contents.batch([row])[0]
            whole = torch.ones_like(photo[:, :1])
            job = Transfer(photo, self.render(self.before, code, row), whole, whole)
            far.append(style_scores(self.targets.vgg, job, self.render(self.stylizer, code, row))["relative"])
        return sum(far) / len(far)

    def preview(self, codes: Tensor, count: int = 3) -> Tensor:
        """A row an exemplar: its photo, then for each of some crops the crop, without and with fitting; `3 h w`."""
        cells = []
        for exemplar, start, code in zip(self.exemplars, self.start, codes, strict=True):
            cells.append(resize(exemplar.image, (SIDE, SIDE))[0].cpu())
            for row in self.crops[:count]:
                images = (
                    self.contents.batch([row])[0],
                    self.render(self.before, start, row),
                    self.render(self.stylizer, code, row),
                )
                cells += [image[0].cpu() for image in images]
        return make_grid(torch.stack(cells), nrow=1 + 3 * count)


def train_styles(config: StyleConfig) -> list[str]:
    """Fit the styles of the folders and write the checkpoint; returns a message for each photo that could not be used.

    Raises StyleError, CheckpointError or ValueError before anything is written."""
    check_counts(config, "exemplars", "steps", "batch")
    device = pick_device(config.device)
    checkpoint, folders = load_checkpoint(config.checkpoint), style_folders(config.styles)
    # Here, not when the fitted styles join: by then it would be minutes later.
    taken = [name for name in folders if name in checkpoint.bank.styles]
    if taken and not config.replace:
        raise StyleError(
            f"the bank has styles of the name {', '.join(map(repr, taken))}; rename the folder, or give --replace true "
            "to lose the bank's own"
        )
    vgg = read_vgg(config.vgg).to(device)
    photos = [LabelledPhoto(path) for path in content_photos(config.contents or None)]
    found, problems = read_exemplars(checkpoint.network, folders, config.whole)
    exemplars = pick(checkpoint.network, found, config.exemplars)
    trainer = StyleTrainer(checkpoint, exemplars, photos, vgg, config)
    before = trainer.distances(trainer.before, trainer.start)
    codes = trainer.run()
    report(before, trainer.distances(trainer.stylizer, codes), trainer.old_moved() if config.decoder else 0.0)
    fitted = [replace(e, code=code) for e, code in zip(exemplars, codes, strict=True)]
    bank = checkpoint.bank.joined(bank_of(fitted), config.replace)
    # Without the decoder the weights go back as they were, whatever the file's precision.
    path = save_checkpoint(config.out, replace(checkpoint, bank=bank), half=True if config.decoder else None)
    picture = path.with_suffix(".png")
    save_png(to_pil(trainer.preview(codes)), picture)
    print(f"{', '.join(found)} in {path}; what fitting changed in {picture}")
    return problems


def report(before: dict[str, float], after: dict[str, float], moved: float) -> None:
    change = 100 * (after["gram"] / before["gram"] - 1)
    gram, content = (f"{before[key]:.3f} -> {after[key]:.3f}" for key in ("gram", "content"))
    print(f"on crops not fitted to: Gram distance to the styles {gram} ({change:+.0f} %), content distance {content}; "
          f"old styles moved by {100 * moved:.1f} %")  # fmt: skip
