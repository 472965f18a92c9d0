"""New materials for the segmenter, from photos with their material as the only label, in minutes.

The joint training finds materials from labels alone too (unistyle.training), with a saliency teacher whose knowledge of
objects comes from annotated photos. Here it comes from the checkpoint, whose segmenter has been taught that already;
encoder and stylizer stay as they are, and with them every style. What is found elsewhere is held where it was (Li and
Hoiem, "Learning without Forgetting", section 3): on photos of anything, and on photos that the network itself restyles
as the materials of its bank, which show these where no photo of them is at hand. Where one material ends is learned
from composed photos (`unistyle.data.composing`): cut-outs of the new materials on each other and on photos of anything,
in which the network says what is around them.
"""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from unistyle.checkpoint.checkpoint import Checkpoint, checkpoint_file, load_checkpoint, save_checkpoint
from unistyle.data.composing import Composer, Piece
from unistyle.data.labelled import LabelledPhoto, hold_out, materials_of
from unistyle.data.pairs import MaskedPhotos
from unistyle.data.views import load
from unistyle.devices import map_on_cores, pick_device
from unistyle.errors import ImageError, UsageError
from unistyle.files.folders import own_mask
from unistyle.files.photos import read_image, read_mask
from unistyle.files.samples import content_photos
from unistyle.files.tensors import to_tensor
from unistyle.files.writing import save_png
from unistyle.network.model import UniStyleNetwork
from unistyle.network.vocabulary import with_vocabulary
from unistyle.restyle.pipeline import UniStyle
from unistyle.styles.exemplars import read_exemplar, style_folders
from unistyle.teachers.foreground import write_missing_masks
from unistyle.training.config import check_counts
from unistyle.training.finish import join_styles
from unistyle.training.loop import Means
from unistyle.training.losses import finite, held_term, label_term, segmentation_term
from unistyle.training.materials.config import VocabularyConfig
from unistyle.training.materials.pieces import own_piece, surroundings
from unistyle.training.previews import material_page

SIZES = [(192, 256), (288, 384)]  # (height, width) at which materials are looked for
FEWEST = 5  # photos of a material
ROWS = 8  # photos of the preview
OWN = 0  # marks photos of the new materials among those of anything, whose label is -1


class VocabularyTrainer:
    """The segmenter of a network with new materials, trained on their photos and held on photos of anything."""

    def __init__(
        self,
        network: UniStyleNetwork,
        before: nn.Module,
        styles: Tensor,
        photos: list[LabelledPhoto],
        others: list[LabelledPhoto],
        config: VocabularyConfig,
        surroundings: Sequence[Piece] = (),
    ):
        """network: with the new materials. before: its segmenter as it was. styles: codes `n d` of the old styles.
        photos: those of the new materials, with masks. others: photos of anything. surroundings: some of them, with
        what was found in them."""
        self.network, self.before, self.config = network.requires_grad_(False), before, config
        self.device = next(network.parameters()).device
        self.styles = styles.to(self.device)
        network.segmenter.requires_grad_(True)
        length = config.steps * config.batch
        # Where these are to be held, they have no material of their own and are seen in other styles alone: where there
        # is none, not at all, or what is to be found in them would be held at what was.
        own = [LabelledPhoto(photo.path, label=OWN) for photo in photos if len(styles)]
        self.loaders = [
            DataLoader(MaskedPhotos([kind], SIZES, config.batch, length, config.seed), config.batch)
            for kind in (photos, others + own)
        ]
        pieces = [own_piece(photo) for photo in photos]
        materials = len(network.config.materials)
        self.loaders.append(
            DataLoader(Composer([*pieces, *surroundings], materials, length, config.seed), config.batch)
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizer = torch.optim.Adam(network.segmenter.parameters(), lr=config.lr, betas=(0.9, 0.99))
        # Not 0.1, with which a warm-up of a single step would be divided by its length, 0.
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.lr, config.steps, pct_start=0.1 + 1e-6, cycle_momentum=False
        )

    @torch.no_grad()
    def elsewhere(self, batch: dict) -> Tensor:
        """Photos `b 3 h w` to hold: each half of the time restyled as a whole in an old style, those of the new
        materials always."""
        photo, count = batch["photo"].to(self.device), len(batch["photo"])
        restyle = (batch["label"] == OWN) | (torch.rand(count, generator=self.generator) < 0.5)
        if not (restyle.any() and len(self.styles)):
            return photo
        rows = torch.randint(len(self.styles), (count,), generator=self.generator)
        features, region = self.network.encoder(photo), torch.ones_like(photo[:, :1])
        restyled = self.network.stylizer(features, region, self.styles[rows][:, None], photo.shape[-2:])
        return torch.where(restyle.to(self.device).view(-1, 1, 1, 1), restyled, photo)

    def logits(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Of the network as it is, and as it was."""
        with torch.no_grad():
            features = self.network.encoder(photo.to(self.device))
            before = self.before(features)
        return self.network.segmenter(features), before

    def step(self, own: dict, other: dict, composed: list[Tensor], number: int) -> dict[str, Tensor]:
        """Learn from a batch of own photos, one of others and a composed one; returns the values of the terms."""
        found, _ = self.logits(own["photo"])
        mask, label = own["mask"].to(self.device), own["label"].to(self.device)
        now, before = self.logits(self.elsewhere(other))
        main = F.binary_cross_entropy_with_logits(now[:, -1:], before[:, -1:].sigmoid())
        terms = {
            "found": segmentation_term(found, mask, label),
            "composed": label_term(self.logits(composed[0])[0], composed[1].to(self.device)),
            "held": held_term(now[:, :-1], before[:, :-1]) + main,
        }
        finite(terms, number)
        self.optimizer.zero_grad()
        (terms["found"] + terms["composed"] + self.config.held * terms["held"]).backward()
        self.optimizer.step()
        self.schedule.step()
        return terms

    def run(self) -> None:
        """Train in place."""
        with tqdm(total=self.config.steps, desc="training") as bar:
            means = Means(bar)
            for number, (own, other, composed) in enumerate(zip(*self.loaders, strict=True)):
                means.add(self.step(own, other, composed, number))
                means.step()
        self.network.requires_grad_(False)


@torch.inference_mode()
def largest(network: UniStyleNetwork, photo: LabelledPhoto) -> str:
    """The material of which the network finds the most in a photo."""
    shares = network.found(network.find(seen(network, photo))[1]).materials.mean((0, 2, 3))
    return network.config.materials[int(shares.argmax())]


def seen(network: UniStyleNetwork, photo: LabelledPhoto) -> Tensor:
    """A photo `1 3 h w` as it is segmented."""
    image = ImageOps.contain(read_image(photo.path), (SIZES[-1][1], SIZES[-1][1]))
    return to_tensor(image)[None].to(next(network.parameters()).device)


@torch.inference_mode()
def moved(network: UniStyleNetwork, before: nn.Module, photos: Sequence[LabelledPhoto]) -> float:
    """Share of the positions of photos at which another material, or other, is likeliest than before."""
    features = [network.encoder(seen(network, photo)) for photo in photos]
    changed = [
        (network.segmenter(f)[:, :-1].argmax(1) != before(f)[:, :-1].argmax(1)).float().mean().item()
        for f in features
    ]
    return sum(changed) / len(changed)


def usable(
    network: UniStyleNetwork, photos: Sequence[LabelledPhoto]
) -> tuple[list[LabelledPhoto], list[str]]:
    """The photos that can be read as exemplars, which some of them become at the end, and whose masks, as far as they
    exist, can be read too; and a message for each other one."""

    def problem(photo: LabelledPhoto) -> str | None:
        try:
            read_exemplar(network, "", photo.path)
            if photo.mask and photo.mask.is_file():
                read_mask(photo.mask)
        except ImageError as error:
            return str(error)
        return None

    answers = list(map_on_cores(problem, photos))
    good = [photo for photo, answer in zip(photos, answers, strict=True) if answer is None]
    return good, [answer for answer in answers if answer is not None]


def masks_folder(config: VocabularyConfig) -> Path:
    """Where masks are that are not beside their photos: `config.masks`, or a folder beside the checkpoint."""
    out = Path(config.out)
    return Path(config.masks or out.parent / f"{out.stem or 'new'}-masks")


def own_photos(
    config: VocabularyConfig, network: UniStyleNetwork
) -> tuple[list[LabelledPhoto], tuple[str, ...], list[str]]:
    """Usable photos of the folders with the index of their material, the materials, and a message for each photo that
    is not. The mask is the one beside the photo or, there or not yet, the one in the folder of masks.

    Raises ValueError or OSError for a material with too few, for folders that there are none of or that no style can
    be made of, and where two photos would share a mask."""
    materials_of(config.photos)  # which, unlike styles, are folders and no photos alone
    folders, masks = style_folders(config.photos), masks_folder(config)
    photos = [
        LabelledPhoto(path, own_mask(path) or masks / name / f"{path.stem}.png", label)
        for label, (name, paths) in enumerate(folders.items())
        for path in paths
    ]
    owners: dict[Path | None, Path] = {}
    for photo in photos:
        if (other := owners.setdefault(photo.mask, photo.path)) != photo.path:
            raise ValueError(
                f"{other} and {photo.path} would share the mask {photo.mask}: rename one of them"
            )
    photos, problems = usable(network, photos)
    counts = Counter(photo.label for photo in photos)
    if few := [f"{name} ({counts[i]})" for i, name in enumerate(folders) if counts[i] < FEWEST]:
        reasons = "".join(f"\n  {problem}" for problem in problems)
        raise ValueError(
            f"too few photos of {', '.join(few)}: wanted {FEWEST} at least, better thirty{reasons}"
        )
    return photos, tuple(folders), problems


def other_photos(folders: Sequence[str] | None) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """Photos of anything to train on, and some to measure on: the same, where there is one alone. Raises ImageError for
    one that cannot be read, and UsageError for a folder without any."""
    photos = [LabelledPhoto(path) for path in content_photos(folders or None)]
    for _ in map_on_cores(lambda photo: load(photo) and None, photos):  # kept in memory for the training
        pass
    train, held = hold_out(photos)
    return train, held or train


def train_vocabulary(config: VocabularyConfig) -> list[str]:
    """Train the materials of the folders and write the checkpoint; returns a message for each photo that could not be
    used. Raises CheckpointError, ImageError, ValueError or OSError before anything but masks is written."""
    check_counts(config, "exemplars", "steps", "batch")
    checkpoint_file(config.out)
    device = pick_device(config.device)
    checkpoint = load_checkpoint(config.checkpoint)
    old, known = checkpoint.network, checkpoint.network.config.materials
    if not old.config.main:
        raise UsageError(
            f"{config.checkpoint} is of a version before 0.2; unistyle train segmenter brings it up to date"
        )
    photos, materials, problems = own_photos(config, old)
    others, kept = other_photos(config.contents)
    write_missing_masks(old, photos, materials, masks_folder(config), device)
    vocabulary = known + tuple(name for name in materials if name not in known)
    photos = [replace(photo, label=vocabulary.index(materials[photo.label])) for photo in photos]
    train, held = hold_out(photos)
    before = copy.deepcopy(old.segmenter).to(device)  # which is trained itself where no material is new
    around = surroundings(old.to(device), others)
    network = with_vocabulary(old, vocabulary).to(device).eval()
    VocabularyTrainer(network, before, checkpoint.bank.codes, train, others, config, around).run()
    report(network, before, held, kept)
    network.cpu()
    bank = join_styles(network, checkpoint.bank, train, config.exemplars)
    made = (
        f"{', '.join(materials)}: {config.steps} steps from {len(train)} photos; figures above are of before"
    )
    notes = checkpoint.notes | {"new materials": made}
    _write(replace(checkpoint, network=network, bank=bank, notes=notes), held, config)
    return problems


def report(
    network: UniStyleNetwork,
    before: nn.Module,
    held: Sequence[LabelledPhoto],
    kept: Sequence[LabelledPhoto],
) -> None:
    """Print how many photos that were held out are found as their material, and what moved in photos of anything."""
    right = sum(largest(network, photo) == network.config.materials[photo.label] for photo in held)
    print(f"photos kept aside: {right} of {len(held)} found as their material; photos of anything: "
          f"{100 * moved(network, before, kept):.1f} % of what is found moved")  # fmt: skip


def _write(new: Checkpoint, held: Sequence[LabelledPhoto], config: VocabularyConfig) -> None:
    """The checkpoint, and beside it a preview."""
    path = save_checkpoint(config.out, new)
    picture = path.with_suffix(".png")
    # From all over: they are in the order of their materials.
    save_png(material_page(UniStyle(new, "cpu"), held[:: -(-len(held) // ROWS)]), picture)
    print(f"{', '.join(new.network.config.materials)} in {path}; what is found in {picture}")
