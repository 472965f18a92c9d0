"""What is left to do of a run that may have been interrupted, and what is done to every photo."""

import json

from unistyle.batch.jobs import Job, Options, Search
from unistyle.batch.manifest import Manifest, differences, line, record
from unistyle.errors import UsageError
from unistyle.files.places import present


def to_do(manifest: Manifest, found: Search, options: Options, settings: dict) -> tuple[list[Job], int]:
    """The jobs that are left, and how many are finished. The manifest is brought up to date with both.

    settings: what decides the results, as the manifest keeps it. Raises UsageError where finished results were made
    with other settings.
    """
    old, exists = manifest.read(), present(manifest.out)
    lines, left = dict(old), []
    differing: dict[str, tuple] = {}
    for job in found.jobs:
        name, missing = str(job.output), options.missing(job, exists)
        before = json.loads(old.get(name, "{}"))
        if before.get("status") == "failed":  # to replace a result, which it says nothing about
            before = {}
        if missing:
            left.append(job)
        else:
            lines[name] = line(_skipped(job, before))
        if job.output not in missing:
            for setting, values in differences(before, settings).items():
                differing.setdefault(setting, (job, *values))
        elif not exists(job.output):
            lines.pop(name, None)  # what stands keeps its record until it is replaced
    if differing:
        named = "; ".join(
            f"{name} was {then!r} and is {now!r} now" for name, (_, then, now) in differing.items()
        )
        first = next(iter(differing.values()))[0]
        raise UsageError(
            f"{first.output} and maybe more in {manifest.out} were made with other settings: {named}. "
            "Give --overwrite to make them anew, another --out to keep both, or the settings of before"
        )
    manifest.write(lines.values())
    return left, len(found.jobs) - len(left)


def _skipped(job: Job, before: dict) -> dict:
    """The record of a result that exists. It keeps what an earlier run found out about it."""
    reason, kept = "the result exists; --overwrite replaces it", before.get
    known = dict(settings=kept("settings"), materials=kept("materials"), styles=kept("styles"))
    return record(job, "skipped", reason, 0.0, **known)
