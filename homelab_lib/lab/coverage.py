"""What of this project is about a row of the document."""

from typing import Annotated

from pydantic import Field, model_validator

from homelab_lib.lab.base import Form, Record, Slug

StepRef = Annotated[
    str,
    Form(
        r"(phase\d+(_[a-z]+)?|health):[a-z0-9-]+",
        "a runbook and its step, such as phase1:nas-pool or health:releases",
    ),
]
ModelRef = Annotated[
    str, Form(r"[a-z_]+\.[a-z0-9_]+", "a model and its function, such as pcie.negotiate")
]


class Coverage(Record):
    """The steps that carry it out or look at it, the models and rules that judge it, and why what
    is left out is left out: some of it, or all."""

    steps: tuple[StepRef, ...] = Field((), description="Steps of runbooks.")
    models: tuple[ModelRef, ...] = Field((), description="Functions of the models.")
    rules: tuple[Slug, ...] = Field((), description="Rules of the audit.")
    left_out: str = Field("", description="What none of these is about, and why.")

    @model_validator(mode="after")
    def _something(self) -> "Coverage":
        if not (self.steps or self.models or self.rules or self.left_out):
            raise ValueError("name its steps, models or rules, or say why it is left out")
        return self
