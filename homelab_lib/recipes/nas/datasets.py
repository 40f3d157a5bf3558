"""Datasets of a TrueNAS: each with the preset for how it is shared."""

from collections.abc import Iterator

from homelab_lib.control.truenas.dataset import ZfsDataset
from homelab_lib.lab import Lab
from homelab_lib.lab.storage import Dataset
from homelab_lib.runbook.step import Context, Step, Wanted


def resource(lab: Lab, dataset: Dataset) -> ZfsDataset:
    """A dataset of the lab as the NAS is to have it; whoever makes it, makes it so.

    Parameters
    ----------
    lab, dataset
        The lab, and one of its datasets.
    """
    return ZfsDataset(
        dataset.host,
        lab.name,
        dataset.name,
        dataset.share_type,
        dataset.recordsize_bytes,
        dataset.quota_bytes,
    )


def step(lab: Lab, datasets: list[Dataset], name: str, needs: tuple[str, ...]) -> Step:
    """The step that makes some datasets of one NAS.

    Parameters
    ----------
    lab, datasets
        The lab, and what is to be made.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        # What lies above comes first.
        yield from (resource(lab, each) for each in sorted(datasets, key=lambda d: d.name))

    return Step(
        name,
        f"Make the datasets {', '.join(each.name for each in datasets)}",
        why="Each kind of use gets a dataset of its own, with its own record size, quota and "
        "snapshots. How it is shared is chosen here and can't be changed later: Windows needs "
        "names that are the same in capitals, Linux needs them told apart.",
        needs=needs,
        ensure=ensure,
    )
