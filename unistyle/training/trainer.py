"""The joint training of the network against its two teachers."""

import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import set_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import save_checkpoint
from unistyle.data.labelled import material_photos, materials_of, object_photos
from unistyle.data.pairs import MaskedPhotos
from unistyle.files.atomic import atomic
from unistyle.files.tensors import to_pil
from unistyle.maths.resizing import resize_regions
from unistyle.network.model import Output, UniStyleNetwork
from unistyle.teachers.vgg import VGG19
from unistyle.training.config import TrainConfig
from unistyle.training.finish import annotated_photos, release
from unistyle.training.loop import Progress, make_optimizer, make_schedule, moving_average
from unistyle.training.losses import VGGTargets, finite, pixel_terms, segmentation_term, style_terms
from unistyle.training.preparation import gatys_results, make_network, make_pairs, saliency_masks
from unistyle.training.student import Student


class Trainer:
    """A run: its parts, its settings and state on disk, its loop."""

    def __init__(self, config: TrainConfig):
        self.config, opt = config, config.optimizer
        self.accelerator = Accelerator(
            mixed_precision=opt.precision,
            gradient_accumulation_steps=opt.accumulate,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        set_seed(config.seed)
        self.out = Path(config.out)
        with atomic(self.out / "config.json") as temporary:
            temporary.write_text(json.dumps(asdict(config), indent=2))
        self.materials = materials_of(config.data.photos)
        annotated_photos(config)  # a wrong path must not wait for the end of the run to be named
        saliency_masks(config, self.accelerator)
        photos = material_photos(config.data.photos, config.data.split, config.data.masks)
        network = make_network(config, self.materials)
        self.vgg = VGG19(config.teachers.vgg).to(self.accelerator.device)
        self.targets = VGGTargets(self.vgg, config.cache_gb * 2**30)
        self.pairs = make_pairs(config, photos, self._items)
        self.gatys = gatys_results(self.pairs, self.vgg, config, self.accelerator)
        objects = object_photos(config.data.objects) if config.data.objects else []
        sizes, batch = config.data.photo_sizes, config.optimizer.batch
        self.masked = MaskedPhotos([photos, objects], sizes, batch, self._items, config.seed)
        self._prepare(network)

    @property
    def _items(self) -> int:
        opt = self.config.optimizer
        return opt.steps * opt.accumulate * opt.batch * self.accelerator.num_processes

    def _prepare(self, network: UniStyleNetwork) -> None:
        opt, accelerator = self.config.optimizer, self.accelerator
        network.to(accelerator.device, memory_format=torch.channels_last)
        optimizer = make_optimizer(network, opt)
        self.schedule = make_schedule(optimizer, opt)
        self.ema = AveragedModel(network, multi_avg_fn=moving_average(opt.ema))
        self.progress = Progress()
        loader = dict(batch_size=opt.batch, num_workers=self.config.data.workers, shuffle=False)
        self.student, self.optimizer, self.pair_loader, self.mask_loader = accelerator.prepare(
            Student(network), optimizer, DataLoader(self.pairs, **loader), DataLoader(self.masked, **loader)
        )
        accelerator.register_for_checkpointing(self.schedule, self.ema, self.progress)

    @property
    def network(self) -> UniStyleNetwork:
        return self.accelerator.unwrap_model(self.student).network

    # State: written beside the old one, then renamed, so that a kill at any moment leaves a whole state behind.

    def save(self) -> None:
        fresh, state, old = (self.out / name for name in ("state.new", "state", "state.old"))
        if self.accelerator.is_main_process:
            for folder in (fresh, old):
                shutil.rmtree(folder, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(fresh))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            if state.exists():
                os.replace(state, old)
            os.replace(fresh, state)
            shutil.rmtree(old, ignore_errors=True)

    def resume(self) -> None:
        """Go on from the last state, if there is one."""
        for name in ("state", "state.old"):  # a kill between the two renames leaves the old one only
            if (self.out / name).is_dir():
                self.accelerator.load_state(str(self.out / name))
                return

    def terms(self, pairs: dict, masked: dict | None) -> tuple[dict[str, Tensor], Output]:
        """One batch -> the named terms of the objective, unweighted, and the network's output."""
        with self.accelerator.autocast():
            output, logits = self.student(pairs, masked)
        image = output.image.float()
        terms = style_terms(pairs, image, self.targets, self.config.loss.content_margin) | pixel_terms(
            pairs, image
        )
        if logits is not None:
            terms["segmentation"] = segmentation_term(logits.float(), masked["mask"], masked["label"])
        return terms, output

    def step(self, pairs: dict, masked: dict | None) -> dict[str, float]:
        weights = asdict(self.config.loss)
        with self.accelerator.accumulate(self.student):
            terms, _ = self.terms(pairs, masked)
            finite(terms, self.progress.step)
            self.accelerator.backward(sum(weights[name] * value for name, value in terms.items()))
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.student.parameters(), self.config.optimizer.clip)
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            self.schedule.step()
            self.ema.update_parameters(self.network)
            self.progress.step += 1
        return {name: value.item() for name, value in terms.items()}

    def batches(self):
        """Pairs with, every few steps, masked photos, from where the run stands."""
        opt = self.config.optimizer
        done = self.progress.step * opt.accumulate
        pairs = self.accelerator.skip_first_batches(self.pair_loader, done)
        masked = iter(self.accelerator.skip_first_batches(self.mask_loader, -(-done // opt.segment_every)))
        for number, batch in enumerate(pairs, start=done):
            batch["gatys"] = self.gatys[batch["fixed"].clamp_min(0).cpu()].to(self.accelerator.device)
            yield batch, next(masked) if number % opt.segment_every == 0 else None

    def run(self) -> AveragedModel:
        """Train to the last step; returns the averaged weights."""
        self.resume()
        main, config = self.accelerator.is_main_process, self.config
        writer = SummaryWriter(self.out / "logs", purge_step=self.progress.step) if main else None
        bar = tqdm(
            total=config.optimizer.steps, initial=self.progress.step, desc="training", disable=not main
        )
        self.student.train()
        saved, means = time.monotonic(), {}
        for pairs, masked in self.batches():
            before = self.progress.step
            for name, value in self.step(pairs, masked).items():
                means[name] = 0.95 * means.get(name, value) + 0.05 * value
            if self.progress.step == before:
                continue
            bar.update()
            bar.set_postfix({k: f"{v:.3f}" for k, v in means.items()}, refresh=False)
            if main and self.progress.step % 10 == 0:
                for name, value in means.items():
                    writer.add_scalar(f"loss/{name}", value, self.progress.step)
            if main and self.progress.step % config.preview_every == 0:
                self.preview(pairs, writer)
            if self._due(saved):
                self.save()
                saved = time.monotonic()
        self.save()
        bar.close()
        return self.ema

    def _due(self, saved: float) -> bool:
        """Whether it is time to save; the main process decides for all."""
        late = torch.tensor([float(time.monotonic() - saved > 60 * self.config.save_minutes)])
        return bool(self.accelerator.reduce(late.to(self.accelerator.device), "max").item())

    @torch.no_grad()
    def preview(self, pairs: dict, writer: SummaryWriter) -> None:
        """A grid for the batch: photo, mask found, region used, style, result, Gatys result (grey if none)."""
        network = self.ema.module
        codes = network.encode_style(pairs["style"], pairs["style_region"])
        output = network(pairs["photo"], codes, pairs["region"])
        size = pairs["photo"].shape[-2:]
        found = resize_regions(network.regions(output.logits).sum(1, keepdim=True), size)
        gatys = torch.where((pairs["fixed"] >= 0).view(-1, 1, 1, 1), pairs["gatys"], 0.5)
        style = resize_regions(pairs["style"], size)
        columns = (pairs["photo"], found.expand(-1, 3, -1, -1), pairs["region"].expand(-1, 3, -1, -1), style,
                   output.image, gatys)  # fmt: skip
        grid = make_grid(torch.stack(columns, dim=1).flatten(0, 1).float().cpu(), nrow=len(columns))
        writer.add_image("preview", grid.clamp(0, 1), self.progress.step)
        path = self.out / "previews" / f"{self.progress.step:06d}.png"
        with atomic(path) as temporary:
            to_pil(grid).save(temporary, format="PNG")


def train(config: TrainConfig) -> None:
    """A whole run: the network trained, the checkpoint written."""
    trainer = Trainer(config)
    averaged = trainer.run()
    if trainer.accelerator.is_main_process:
        save_checkpoint(config.checkpoint, release(averaged.module, config))
    trainer.accelerator.end_training()
