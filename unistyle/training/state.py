"""The state of a run on disk: written beside the old one, then renamed, so that a kill at any moment leaves a whole
state behind."""

import shutil
from pathlib import Path

from accelerate import Accelerator


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
    for name in ("state", "state.old"):  # a kill between the two renames leaves the old one only
        if (out / name).is_dir():
            accelerator.load_state(str(out / name))
            return
