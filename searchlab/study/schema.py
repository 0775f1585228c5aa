"""JSON Schemas (draft 2020-12) of spaces and studies, so that editors complete and check them.

The registered families, their parameters and the datasets are written into them, so a schema
tells what this installation knows. Rules between fields (low < high) are left to the commands.
"""

from __future__ import annotations

from typing import Any

from searchlab.config.composition import EXTENDS
from searchlab.config.settings import OPTIMIZER_SETTINGS, SHARED_PARAMETERS, TrainingSettings
from searchlab.config.study import StudySpec
from searchlab.data import list_datasets
from searchlab.models import Family, get_family, list_families

__all__ = ["space_schema", "study_schema"]

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SLUG = r"^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_PLUGIN = r"(\.py$)|(^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$)"
_SPACE_TEXT = r"(\.ya?ml$)|(^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$)"


def space_schema() -> Schema:
    """Return the JSON Schema of ``spaces/*.yaml``."""
    return {"$schema": _DIALECT, "title": "searchlab space", **_space()}


def study_schema() -> Schema:
    """Return the JSON Schema of ``studies/*.yaml``."""
    schema = StudySpec.model_json_schema()
    parts = schema["$defs"]
    for part in ("SpaceSpec", "CallableRef", "Choice", "EachLayer", "Fixed", "Options", "Range"):
        parts.pop(part, None)
    fields = schema["properties"]
    fields["name"]["pattern"] = _SLUG
    parts["SpaceSpec"] = _space()
    for name in OPTIMIZER_SETTINGS:
        setting = parts["TrainingSettings"]["properties"][name]
        setting["type"] = [setting["type"], "null"]
    parts["DatasetSpec"]["properties"]["name"]["enum"] = list(list_datasets())
    fields["dataset"] = {"anyOf": [{"enum": list(list_datasets())}, fields["dataset"]]}
    fields["space"] = {
        "description": "a space file (beside the study), an inline space, or module:function",
        "anyOf": [{"type": "string", "pattern": _SPACE_TEXT}, {"$ref": "#/$defs/SpaceSpec"}],
    }
    for form in fields["objective"]["anyOf"]:
        if form.get("type") == "array":
            form.update(minItems=1, uniqueItems=True)
    fields["plugins"]["items"]["pattern"] = _PLUGIN
    fields["ensembles"]["additionalProperties"]["minItems"] = 2
    baselines = parts["BaselineSpec"]["properties"]
    baselines["architectures"]["items"] = {"enum": list_families()}
    for names in (baselines["architectures"], baselines["schemes"]):
        names["uniqueItems"] = True
    _name_families(parts["BaselineRow"])
    fields["presets"]["additionalProperties"] = _preset(fields, parts)
    needed = {
        "required": schema.pop("required"),
        "properties": {"dataset": {"required": parts["DatasetSpec"].pop("required")}},
    }
    schema = {**schema, **_extensible(fields, needed, {"required": ["name"]})}
    return {"$schema": _DIALECT, **schema, "title": "searchlab study"}


def _extensible(fields: Schema, needed: Schema, always: Schema) -> Schema:
    """Let a file extend another, and then leave out what it would need alone."""
    fields[EXTENDS] = {
        "type": "string",
        "description": "a file, beside this one, whose fields this one has too unless it says "
        "otherwise",
    }
    return {"if": {"required": [EXTENDS]}, "then": always, "else": needed}


def _name_families(row: Schema) -> None:
    """Let a baseline's row take the architectures that there are, and each its own parameters."""
    row["properties"]["architecture"]["enum"] = list_families()
    row["allOf"] = []
    for name in list_families():
        family = get_family(name)
        values = family.value_schemas()
        values.pop("scheme", None)
        takes = {"parameters": _object(values)}
        if family.first_conv is None:
            takes["scheme"] = {"const": "DT"}
        is_it = {"properties": {"architecture": {"const": name}}, "required": ["architecture"]}
        row["allOf"].append({"if": is_it, "then": {"properties": takes}})


def _preset(fields: Schema, parts: Schema) -> Schema:
    """Return the schema of one preset: fields of the study by their places, ``search.trials``."""
    places: Schema = {}
    for name, field in fields.items():
        if name != "presets":
            places.update(_places(name, field, parts))
    # What is named freely by the study, and a space inline.
    free: Schema = {"^(space|ensembles|correlations|comparisons|search\\.reference)\\..": {}}
    return {**_object(places), "patternProperties": free}


def _places(name: str, field: Schema, parts: Schema) -> Schema:
    """Return the schema of every field at and below a place, by its dotted name."""
    found = {name: field}
    for form in (field, *field.get("anyOf", ())):
        part = form.get("$ref", "").removeprefix("#/$defs/")
        if part and part != "SpaceSpec":
            for below, inner in parts[part]["properties"].items():
                found.update(_places(f"{name}.{below}", inner, parts))
    return found


def _space() -> Schema:
    training = TrainingSettings.model_json_schema()["properties"]
    shared = {name: _searchable(training[name]) for name in SHARED_PARAMETERS}
    space = _object(
        {
            "name": {"type": "string", "pattern": _SLUG},
            "parameters": _object({**shared, "family": _family()}),
        }
    )
    needed = {
        "required": ["parameters"],
        "properties": {"parameters": {"required": ["family"]}},
    }
    return {**space, **_extensible(space["properties"], needed, {})}


def _family() -> Schema:
    names = {"enum": list_families()}
    options = {name: _own_parameters(get_family(name)) for name in list_families()}
    return {
        "description": "the architectures; the options of a mapping own the parameters under them",
        "anyOf": [names, _list_of(names), {**_object(options), "minProperties": 1}],
    }


def _own_parameters(family: Family) -> Schema:
    own = family.parameters
    fields = {
        name: _searchable(schema, per_layer=name in own.per_layer_fields())
        for name, schema in family.value_schemas().items()
    }
    return {
        **_object(fields),
        "type": ["object", "null"],  # `a1:` with nothing under it
        "description": family.summary,
    }


def _searchable(field: Schema, *, per_layer: bool = False) -> Schema:
    """Return what may stand for a field in a space: a value, a list, a range, one per layer."""
    value = {key: item for key, item in field.items() if key not in ("default", "title")}
    description = value.pop("description", "")
    searched = [_list_of(value)]
    if value.get("type") in ("integer", "number"):
        searched.append(_range_of(value))
    forms = [value, *searched]
    if per_layer:
        forms.append(_object({"each_layer": {"anyOf": searched}}, required=["each_layer"]))
    return {"description": description, "anyOf": forms}


def _list_of(value: Schema) -> Schema:
    return {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}


def _range_of(value: Schema) -> Schema:
    step = {"type": value["type"], "exclusiveMinimum": 0}
    return _object(
        {"low": value, "high": value, "step": step, "log": {"type": "boolean"}},
        required=["low", "high"],
    )


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema
