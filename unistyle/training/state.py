"""The state of a run on disk: written beside the old one, then renamed, so that a kill at any moment leaves a whole
state behind. A folder belongs to one run: the same settings, materials and photos."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator

from unistyle.data.labelled import LabelledPhoto
from unistyle.errors import UsageError
from unistyle.files.atomic import atomic
from unistyle.files.digest import digest, file_digest
from unistyle.training.config import TrainConfig

STATES = ("state", "state.old")  # a kill between the two renames leaves the old one only
# Settings that a run may go on with other values of: where things are and how often it shows and saves; what comes
# after its last step. Where photos are does not matter either, but what they show: they are compared by content.
FREE = {
    *("out", "checkpoint", "terms", "exemplars", "segmenter", "synthesise"),
    *("save_minutes", "preview_every", "keep_every", "cache_gb", "data.workers"),
    *("data.photos", "data.split", "data.contents", "data.styles", "data.objects", "data.masks"),
    "data.samples",
    "data.reliefs",
    *("data.annotated", "data.calibrate", "teachers.gatys_cache", "teachers.saliency_cache", "teachers.vgg"),
    *("encoder.weights", "teachers.recogniser.weights"),
}


def begin(
    config: TrainConfig, materials: Sequence[str], photos: Mapping[str, Sequence[LabelledPhoto]]
) -> None:
    """Write down in the run's folder what it learns from: `config.json`, and digests of its photos by kind in
    `photos.json`. All processes call it. Raises UsageError, and writes nothing, where the folder holds the state of a
    run on other photos or with other settings."""
    out = Path(config.out)
    about: dict = {"materials": list(materials)}
    about |= {kind: digest(*(_about(photo) for photo in each)) for kind, each in photos.items()}
    settings = json.loads(json.dumps(asdict(config)))
    if any((out / name).is_dir() for name in STATES):
        _compare(out, settings, about)
    for name, value in (("config.json", settings), ("photos.json", about)):
        with atomic(out / name) as temporary:
            temporary.write_text(json.dumps(value, indent=2))


def _about(photo: LabelledPhoto) -> list:
    return [photo.label, photo.path.name, photo.mask is not None, file_digest(photo.path)]


def _compare(out: Path, settings: dict, about: dict) -> None:
    """Runs of earlier versions have no `photos.json`; of them the settings alone are known."""
    advice = f"go on with those, give another --out, or remove {out / STATES[0]} to begin anew"
    before = _read(out / "photos.json")
    if before and before.get("materials") != about["materials"]:
        was, now = (", ".join(each.get("materials", [])) for each in (before, about))
        raise UsageError(
            f"{out} is a run on other photos: its materials are {was}, and these are {now}; {advice}"
        )
    if before and (other := [kind for kind in about if before.get(kind) != about[kind]]):
        raise UsageError(f"{out} is a run on other photos ({', '.join(other)}); {advice}")
    old, new = _flat(_read(out / "config.json")), _flat(settings)
    free = FREE if before else FREE - {"data.photos", "data.split"}
    if other := [name for name in (old.keys() & new.keys()) - free if old[name] != new[name]]:
        first = min(other)
        values = f"{first} was {old[first]}, and is {new[first]}"
        kind = "on other photos" if first in FREE else "with other settings"
        raise UsageError(f"{out} is a run {kind}: {values}; {advice}")


def _read(path: Path) -> dict:
    """What a file of `begin` holds; nothing where it is missing or broken."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _flat(settings: dict, above: str = "") -> dict:
    """Settings by their dotted names."""
    flat: dict = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def save(accelerator: Accelerator, out: Path) -> None:
    """Write everything that is registered with the accelerator to `out/state`. All processes call it."""
    fresh, state, old = (out / name for name in ("state.new", "state", "state.old"))
    if accelerator.is_main_process:
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(fresh))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if state.exists():
            state.replace(old)
        fresh.replace(state)
        shutil.rmtree(old, ignore_errors=True)


def resume(accelerator: Accelerator, out: Path) -> None:
    """Go on from the last state below `out`, if there is one."""
    for name in STATES:
        if (out / name).is_dir():
            accelerator.load_state(str(out / name))
            return
