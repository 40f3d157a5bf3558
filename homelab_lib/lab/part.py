"""What all parts of the catalog share, and how the lab refers to one."""

import types
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast, get_args

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from homelab_lib.lab.base import Named, PriceRange, Record
from homelab_lib.lab.near import near

Status = Literal["verified", "derived", "unverified"]


class Part(Named):
    """A product, or a generic kind of product, with the facts of its data sheet."""

    kind: ClassVar[str]

    title: str = Field(description="Maker and product, as one would ask for it in a shop.")
    sources: tuple[str, ...] = Field(
        min_length=1, description="Where the facts are from: short citations."
    )
    status: dict[str, Status] = Field(
        {}, description="How well a fact is known, by the fact's field name."
    )
    price: PriceRange | None = Field(None, description="What one costs [US dollars].")
    scarce: str = Field("", description="Why it is hard to get; empty: it is not.")

    @property
    def id(self) -> str:
        """The part's name in the catalog."""
        return self.name

    @model_validator(mode="after")
    def _status_of_fields(self) -> "Part":
        for field in self.status:
            if field not in type(self).model_fields:
                hint = near(field, type(self).model_fields)
                raise ValueError(f"status of {field!r}, which {self.kind} don't have{hint}")
        return self


class PcieLink(Record):
    """What one end of a PCI Express link can do."""

    generation: Literal[1, 2, 3, 4, 5, 6] = Field(description="PCI Express generation.")
    lanes: Literal[1, 2, 4, 8, 16] = Field(description="Number of lanes that are wired.")


KINDS = "x-kinds"
"""In a JSON Schema: of which kinds the part is that a text names; of any kind where empty."""


def name_of(*kinds: str) -> WithJsonSchema:
    """Marks a text that names a part without becoming it, for an editor."""
    return WithJsonSchema({"type": "string", KINDS: list(kinds)})


def kinds_of(wanted: Any) -> list[str]:
    """The catalog's kinds of a class of parts, or of a union of such; empty for any part."""
    classes = get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
    if Part in classes:
        return []
    return [kind for each in classes for kind in _of_class(each)]


def _of_class(part: type[Part]) -> list[str]:
    return [part.kind, *(kind for below in part.__subclasses__() for kind in _of_class(below))]


class FromCatalog:
    """Marks a field that holds a part: YAML names it, the loaded lab has the part itself.

    ``Annotated[GpuPart, FromCatalog]`` looks the name up in the catalog that the loader passes
    as validation context, and refuses a part of another kind.
    """

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        kinds = kinds_of(source)

        def look_up(value: Any, info: ValidationInfo) -> Part:
            if isinstance(value, source):
                return value
            if not isinstance(value, str):
                raise PydanticCustomError("part_name", "the name of a part in the catalog")
            return cast(Mapping[str, Any], info.context)["catalog"].find(value, source)

        return core_schema.with_info_plain_validator_function(
            look_up,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda part: part.id),
            metadata={
                "pydantic_js_functions": [lambda schema, handler: {"type": "string", KINDS: kinds}]
            },
        )
