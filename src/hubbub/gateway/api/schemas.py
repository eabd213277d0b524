"""JSON Schema of msgspec's types.

`msgspec.json.schema_components` cannot write the default of a field that is `msgspec.Raw`, and most requests
have one.
"""

from collections.abc import Iterable

import msgspec
from msgspec import inspect

Schema = dict[str, object]


def schemas_of(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """The schemas of these structs and of all that they hold, by the types' names."""
    found: dict[str, Schema] = {}
    for kind in kinds:
        _of(inspect.type_info(kind), found)
    return found


def reference(kind: type[msgspec.Struct]) -> Schema:
    """A reference to the schema of a struct, among an OpenAPI document's components."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _of(kind: inspect.Type, found: dict[str, Schema]) -> Schema:
    match kind:
        case inspect.StructType():
            if kind.cls.__name__ not in found:
                found[kind.cls.__name__] = {}  # it may hold itself
                found[kind.cls.__name__] = _of_struct(kind, found)
            return reference(kind.cls)
        case inspect.UnionType():
            return {"anyOf": [_of(one, found) for one in kind.types]}
        case inspect.DictType():
            return {"type": "object", "additionalProperties": _or_null(_of(kind.value_type, found))}
        case inspect.ListType() | inspect.CollectionType():
            most = {} if kind.max_length is None else {"maxItems": kind.max_length}
            return {"type": "array", "items": _of(kind.item_type, found), **most}
        case inspect.IntType():
            return {"type": "integer"}
        case inspect.FloatType():
            return {"type": "number", **({} if kind.ge is None else {"minimum": kind.ge})}
        case inspect.StrType():
            return {"type": "string"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.NoneType():
            return {"type": "null"}
        case inspect.RawType() | inspect.AnyType():
            return {}  # JSON of any shape
        case _:
            raise NotImplementedError(f"no schema for {kind}")


def _or_null(schema: Schema) -> Schema:
    """A request's field that is null is taken for one that is not there."""
    several = schema.get("anyOf")
    kinds = several if isinstance(several, list) else [schema]
    null: Schema = {"type": "null"}
    return {"anyOf": [*kinds, null]} if schema and null not in kinds else schema


def _of_struct(kind: inspect.StructType, found: dict[str, Schema]) -> Schema:
    schema: Schema = {
        "title": kind.cls.__name__,
        "type": "object",
        "properties": {field.encode_name: _or_null(_of(field.type, found)) for field in kind.fields},
    }
    if required := [field.encode_name for field in kind.fields if field.required]:
        schema["required"] = required
    if kind.cls.__doc__:
        schema["description"] = kind.cls.__doc__.partition("\n")[0]
    return schema
