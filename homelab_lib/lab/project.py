"""The project around the lab: phases and tasks, money, decisions, references, what is left out."""

from typing import Annotated, Any

from pydantic import Field

from homelab_lib.lab.base import BY_NAME, Listed, Named, Positive, PriceRange, Record, Slug
from homelab_lib.lab.coverage import Coverage
from homelab_lib.lab.part import FromCatalog, Part


class Task(Listed):
    """Something to be done, maybe in parts."""

    title: str = Field(description="The document's words.")
    done: bool = Field(False, description="Whether it is ticked off.")
    hosts: tuple[Slug, ...] = Field((), description="Hosts or VMs it works on.")
    tasks: tuple["Task", ...] = Field((), description="Its parts.")
    covered: Coverage | None = Field(None, description="What of this project is about it.")


class Phase(Listed):
    """A phase of the build."""

    number: Positive = Field(description="Its number; phases are done in order.")
    title: str = Field(description="Its title.")
    goal: str = Field("", description="What it is to reach.")
    tasks: tuple[Task, ...] = Field((), description="What is to be done.")


class Purchase(Listed):
    """Something to buy."""

    title: str = Field(description="The item as written.")
    part: Annotated[Part, FromCatalog] | None = Field(
        None, description="What it is; none where the document leaves it open."
    )
    count: Positive = Field(1, description="How many.")
    purpose: str = Field(description="What it is for.")
    price: PriceRange = Field(description="Estimated price of all of it [US dollars].")
    optional: bool = Field(False, description="Only if needed.")
    used_in: tuple[str, ...] = Field(
        (), description="Where it goes: a host, 'host.device', 'host.disk', or a cable's name."
    )
    covered: Coverage | None = Field(None, description="What of this project is about it.")


class Sale(Listed):
    """Something that might be sold."""

    title: str = Field(description="The item as written.")
    part: Annotated[Part, FromCatalog] = Field(description="What it is.")
    taken_from: str = Field(description="Where it is now: 'host.device' or 'host.disk'.")
    price: PriceRange = Field(description="What it might bring [US dollars].")


class Change(Record):
    """One correction to the document."""

    path: str = Field(
        description="Where: keys joined by dots, such as 'hosts.nas.ports.sfp.part'; an entry of a "
        "list by its name or its index. The last key may be new.",
        min_length=1,
    )
    value: Any = Field(None, description="What stands there instead; null takes the entry away.")


class Decision(Record):
    """A reasoned correction to the design as written."""

    id: Slug = Field(description="A short name.")
    title: str = Field(description="What is decided, in one line.")
    reason: str = Field(description="Why, and what the other ways were.")
    answers: tuple[str, ...] = Field(description="Findings it answers.")
    changes: tuple[Change, ...] = Field(description="What it changes in the document.")
    cost: PriceRange | None = Field(None, description="What it costs [US dollars].")


class Reference(Record):
    """A link to more."""

    section: str = Field(description="Heading it stands under.")
    title: str = Field(description="Its title.")
    url: str = Field(description="Address, or path of a document.")
    note: str = Field("", description="What is to be found there.")


class Skipped(Record):
    """A technology left out on purpose."""

    technology: str = Field(description="What.")
    reason: str = Field(description="Why.")


class Layer(Record):
    """A layer of a stack, from the top."""

    title: str = Field(description="What it is.")
    role: str = Field(description="What it does there.")


class Flow(Named):
    """Something that passes through several stations, as the document draws it."""

    title: str = Field(description="What passes.")
    stations: tuple[str, ...] = Field(min_length=2, description="Stations in order.")


class CommandLines(Record):
    """Commands that the document gives for a machine."""

    where: str = Field(description="Machine, as written.")
    lines: tuple[str, ...] = Field(description="Command lines, as written.")


class InferenceOption(Listed):
    """A way to share inference among machines."""

    title: str = Field(description="Its title.")
    how: str = Field(description="What it does.")
    members: tuple[str, ...] = Field(description="Devices or hosts that take part.")
    commands: tuple[CommandLines, ...] = Field((), description="Commands in the document.")
    benefits: tuple[str, ...] = Field((), description="What it is good for.")
    url: str | None = Field(None, description="Where the software is from.")


class Standalone(Record):
    """A machine that is to be left alone, and why."""

    host: Slug = Field(description="The host.")
    title: str = Field(description="As written.")
    reasons: tuple[str, ...] = Field(description="Why.")


class Claim(Listed):
    """A statement of the design that can be tested, and how the audit tests it."""

    section: str = Field(description="Heading it stands under.")
    quote: str = Field(description="The document's words; a table's row as it stands.")
    check: Slug = Field(description="The audit's check that judges it.")
    about: dict[str, Any] = Field({}, description="What the check is to look at.")
    table: str = Field("", description="The table it is a row of; empty for a sentence.")
    covered: Coverage | None = Field(None, description="What of this project is about it.")


class Project(Record):
    """All of it, as keys of the lab's document."""

    phases: tuple[Phase, ...] = Field((), description="Phases in order.")
    purchases: tuple[Purchase, ...] = Field((), description="Shopping list.")
    claimed_total: PriceRange | None = Field(
        None, description="Sum of the shopping list as written [US dollars]."
    )
    sales: tuple[Sale, ...] = Field((), description="What might be sold.")
    claimed_sales: str = Field("", description="What the document says the sales bring.")
    decisions: tuple[Decision, ...] = Field((), description="Corrections to the design.")
    claims: tuple[Claim, ...] = Field((), description="What the design says that can be tested.")
    references: tuple[Reference, ...] = Field((), description="Links to more.")
    skipped: tuple[Skipped, ...] = Field((), description="What is left out on purpose.")
    leave_standalone: tuple[Standalone, ...] = Field((), description="Machines left alone.")
    software_stack: tuple[Layer, ...] = Field((), description="Layers of the AI stack.")
    inference_options: tuple[InferenceOption, ...] = Field(
        (), description="Ways to share inference among machines."
    )
    best_practices: tuple[str, ...] = Field((), description="Advice in the document.")
    flows: Annotated[dict[Slug, Flow], BY_NAME] = Field(
        {}, description="Paths that the document draws."
    )
