#!/usr/bin/env python3
"""Makes a Python client of an OpenRPC document: generate.py <openrpc.json >tandem.py.

Each schema becomes a TypedDict, each method a function with keyword arguments; the module needs the standard library alone."""
import json
import sys

document = json.load(sys.stdin)
schemas = document["components"]["schemas"]
print('"""Made of an OpenRPC document."""')
print("from __future__ import annotations\n\nimport json\nimport ssl\nimport urllib.error\nimport urllib.request\nfrom typing import Any, Literal, NotRequired, Required, TypedDict\n")


def type_of(schema):
    if "$ref" in schema:
        return '"' + schema["$ref"].rsplit("/", 1)[1] + '"'
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    if schema.get("type") == "array":
        return f"list[{type_of(schema['items'])}]"
    names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "object": "dict[str, Any]"}
    return names[schema["type"]]


def structure(name, schema):
    required = schema.get("required", [])
    members = {member: type_of(inner) for member, inner in schema.get("properties", {}).items()}
    fields = ", ".join(
        f'"{member}": {"Required" if member in required else "NotRequired"}[{kind}]' for member, kind in members.items()
    )
    print(f'{name} = TypedDict("{name}", {{{fields}}})\n')


for name, schema in schemas.items():
    if schema.get("type") == "object":
        structure(name, schema)
    else:
        print(f"{name} = {type_of(schema)}\n")
for method in document["methods"]:
    structure(method["name"].replace(".", "_") + "Result", method["result"]["schema"])

codes = {error["code"]: error["message"] for method in document["methods"] for error in method["errors"]}
print(f"STATUS_OF_CODE = {codes!r}\n")
print(
    '''class CallError(Exception):
    """The server refused a call; `data` has its status, its reason, and whether to try again."""

    def __init__(self, code: int, message: str, data: "ErrorData"):
        super().__init__(message)
        self.code, self.data = code, data


class Client:
    def __init__(self, url: str, ca: str, certificate: str, key: str):
        self.url, self.last = url, 0
        self.context = ssl.create_default_context(cafile=ca)
        self.context.load_cert_chain(certificate, key)

    def call(self, method: str, params: dict[str, Any]) -> Any:
        self.last += 1
        message = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        request = urllib.request.Request(self.url, json.dumps(message).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, context=self.context) as answer:
                answer = json.load(answer)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
        if "error" in answer:
            raise CallError(answer["error"]["code"], answer["error"]["message"], answer["error"]["data"])
        return answer["result"]
'''
)
for method in document["methods"]:
    name = method["name"].replace(".", "_")
    # `continue` is a word of Python's own.
    params = [(param["name"], param["name"] + "_" * (param["name"] == "continue"), param) for param in method["params"]]
    params.sort(key=lambda param: not param[2].get("required", False))
    arguments = "".join(
        f", {word}: {type_of(param['schema'])}".replace('"', "") + ("" if param.get("required") else " | None = None")
        for _, word, param in params
    )
    print(f'    def {name}(self{", *" if params else ""}{arguments}) -> {name}Result:')
    print(f'        """{method["summary"]}"""')
    given = ", ".join(f'"{real}": {word}' for real, word, _ in params)
    print(f"        params = {{name: value for name, value in {{{given}}}.items() if value is not None}}")
    print(f'        return self.call("{method["name"]}", params)\n')
