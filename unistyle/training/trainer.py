"""The joint training of the network against its two teachers."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count, repeat
from pathlib import Path

import torch
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, save_checkpoint
from unistyle.files.atomic import atomic
from unistyle.files.tensors import to_pil
from unistyle.styles.bank import StyleBank
from unistyle.training import state
from unistyle.training.config import TrainConfig
from unistyle.training.finish import release
from unistyle.training.loop import READ, Means, averaged_network, settle
from unistyle.training.losses import (
    VGGTargets,
    finite,
    pixel_terms,
    rendered_term,
    segmentation_term,
    style_terms,
)
from unistyle.training.preparation import Run, first_encoder, make_accelerator, prepare
from unistyle.training.previews import joint_grid
from unistyle.training.targets.recognition import Seen


class Trainer:
    """The loop of a run that is prepared: its steps, its state and what it shows."""

    def __init__(self, run: Run, targets: VGGTargets):
        """targets: what VGG-19 says of photos and styles; a run of the same crops may go on with another one's."""
        self.prepared, self.targets = run, targets
        self.config, self.accelerator = run.config, run.accelerator
        self.out = Path(run.config.out)

    def terms(self, pairs: dict, masked: dict | None, rendered: dict | None = None) -> dict[str, Tensor]:
        """One batch of each -> the named terms of the objective, unweighted."""
        teachers, weights = self.prepared.teachers, self.config.objective(self.prepared.progress.step)
        with self.accelerator.autocast():
            restyled, logits, drawn = self.prepared.student(pairs, masked, rendered)
            image = restyled.float()
            seen, recognised = Seen(self.targets.vgg, image), teachers.object.term(image, pairs["photo"])
        terms = style_terms(pairs, seen, self.targets, weights.content_margin) | pixel_terms(pairs, image)
        terms["named"] = teachers.material.term(seen, pairs["region"], pairs["style_label"])
        terms["object"] = recognised
        if masked is not None:
            terms["segmentation"] = segmentation_term(logits.float(), masked["mask"], masked["label"])
        if rendered is not None:
            terms["rendered"] = rendered_term(drawn.float(), rendered["wanted"])
        return terms

    def step(self, pairs: dict, masked: dict | None, rendered: dict | None = None) -> dict[str, Tensor]:
        """Learn from one batch of each; returns its terms, which are not read here: that is to wait for a GPU."""
        run, weights = self.prepared, asdict(self.config.objective(self.prepared.progress.step))
        with self.accelerator.accumulate(run.student):
            terms = self.terms(pairs, masked, rendered)
            self.accelerator.backward(sum(weights[name] * value for name, value in terms.items()))
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(run.student.parameters(), self.config.optimizer.clip)
            run.optimizer.step()
            run.optimizer.zero_grad()
        if self.accelerator.sync_gradients:
            run.schedule.step()
            run.progress.step += 1
            run.averaged.update(self.accelerator.unwrap_model(run.student).network, run.progress.step)
        return terms

    def batches(self) -> Iterator[tuple[dict, dict | None, dict | None]]:
        """Pairs with, every few steps, masked photos and rendered pairs, from where the run stands."""
        opt, run = self.config.optimizer, self.prepared
        masked = self._every(opt.segment_every, run.masked)
        weighted = any(self.config.objective(step).rendered for step in (0, opt.steps))
        rendered = self._every(opt.render_every, run.rendered) if weighted else repeat(None)
        for batch in self.accelerator.skip_first_batches(run.pairs, self._done()):
            taught = run.gatys[batch["fixed"].clamp_min(0)]
            # The teacher restyles crops of one size; where none of a batch is its, anything stands for its results.
            batch["gatys"] = taught if taught.shape == batch["photo"].shape else batch["photo"]
            yield batch, next(masked), next(rendered)

    def _every(self, steps: int, batches: DataLoader) -> Iterator[dict | None]:
        """The next batch in each `steps`th of the pairs' batches, from where the run stands, and None between them."""
        rest = iter(self.accelerator.skip_first_batches(batches, -(-self._done() // steps)))
        for number in count(self._done()):
            yield next(rest) if number % steps == 0 else None

    def _done(self) -> int:
        """How many batches of pairs the run has had."""
        return self.prepared.progress.step * self.config.optimizer.accumulate

    def run(self) -> ModelEmaV3:
        """Train from the last state, if there is one, to the last step; returns the averaged weights."""
        state.resume(self.accelerator, self.out)
        main, progress = self.accelerator.is_main_process, self.prepared.progress
        writer = SummaryWriter(self.out / "logs", purge_step=progress.step) if main else None
        self.prepared.student.train()
        saved, steps = time.monotonic(), self.config.optimizer.steps
        with tqdm(total=steps, initial=progress.step, desc="training", disable=not main) as bar:
            means = Means(bar)
            for batches in self.batches():
                before = progress.step
                self._settle()
                means.add(self.step(*batches))
                if progress.step == before:
                    continue
                means.step()
                read = progress.step % READ == 0 or progress.step == steps
                if read:
                    finite(means.values, progress.step)
                if writer:
                    self._show(writer, means, batches[0])
                    self._keep()
                if read and self._due(saved):
                    state.save(self.accelerator, self.out)
                    saved = time.monotonic()
            state.save(self.accelerator, self.out)
        return self.prepared.averaged

    def _settle(self) -> None:
        """Towards the end, hold the encoder where the rest is to settle on it."""
        opt, run = self.config.optimizer, self.prepared
        last = opt.steps - round(opt.settle * opt.steps)
        network = self.accelerator.unwrap_model(run.student).network
        if run.progress.step < last or not next(network.encoder.parameters()).requires_grad:
            return
        if run.progress.step == last and (began := first_encoder(self.config)):
            settle(network, averaged_network(run.averaged), began)
        network.encoder.requires_grad_(False)

    def _due(self, saved: float) -> bool:
        """Whether it is time to save; the main process decides for all."""
        late = torch.tensor([float(time.monotonic() - saved > 60 * self.config.save_minutes)])
        return bool(self.accelerator.reduce(late.to(self.accelerator.device), "max").item())

    def _keep(self) -> None:
        """Now and then, the averaged weights as a checkpoint without styles."""
        step = self.prepared.progress.step
        if step % self.config.keep_every == 0:
            network = averaged_network(self.prepared.averaged)
            none = StyleBank((), torch.zeros(0, network.stylizer.code_size))
            notes = {"steps": step} | ({"terms": self.config.terms} if self.config.terms else {})
            file = self.out / "checkpoints" / f"{step:06d}.safetensors"
            save_checkpoint(file, Checkpoint(network, none, notes))

    def _show(self, writer: SummaryWriter, means: Means, pairs: dict) -> None:
        """Every READ steps the means, and now and then a preview, in the log and as a picture."""
        step = self.prepared.progress.step
        if step % READ == 0:
            for name, value in means.values.items():
                writer.add_scalar(f"loss/{name}", value, step)
        if step % self.config.preview_every == 0:
            grid = joint_grid(averaged_network(self.prepared.averaged), pairs)
            writer.add_image("preview", grid.clamp(0, 1), step)
            with atomic(self.out / "previews" / f"{step:06d}.png") as temporary:
                to_pil(grid).save(temporary, format="PNG")


def train(config: TrainConfig) -> Run:
    """A whole run: everything prepared, the network trained, the checkpoint written by the main process. Raises what
    `make_accelerator` and `prepare` do before any work starts, and FloatingPointError where a term of the objective is
    not finite any more."""
    accelerator = make_accelerator(config.optimizer)
    run = prepare(config, accelerator)
    targets = VGGTargets(run.vgg, config.cache_gb * 2**30, accelerator.autocast)
    averaged = Trainer(run, targets).run()
    if accelerator.is_main_process:
        save_checkpoint(config.checkpoint, release(averaged_network(averaged), run))
    accelerator.end_training()
    return run
