#!/usr/bin/env python3
"""Uses the client that generate.py made: use.py PORT CA CERTIFICATE KEY, with tandem.py on PYTHONPATH and the document on the standard input.

Makes each example's call by the generated function, and checks that the answer has the members of its type."""
import json
import sys
import typing

import tandem

port, ca, certificate, key = sys.argv[1:]
client = tandem.Client(f"https://127.0.0.1:{port}/rpc", ca, certificate, key)


def check(value, kind, place):
    if isinstance(kind, (str, typing.ForwardRef)):
        kind = getattr(tandem, kind if isinstance(kind, str) else kind.__forward_arg__)
    origin = typing.get_origin(kind)
    if origin in (typing.Required, typing.NotRequired):
        return check(value, typing.get_args(kind)[0], place)
    if origin is typing.Literal:
        assert value in typing.get_args(kind), f"{place}: {value!r} is none of {kind}"
    elif origin is list:
        for index, item in enumerate(value):
            check(item, typing.get_args(kind)[0], f"{place}[{index}]")
    elif origin is dict or kind is typing.Any:
        assert isinstance(value, dict), place
    elif typing.is_typeddict(kind):
        missing = kind.__required_keys__ - value.keys()
        assert not missing, f"{place}: {missing} missing"
        for name, inner in kind.__annotations__.items():
            if name in value:
                check(value[name], inner, f"{place}.{name}")
    else:
        assert isinstance(value, (int, float) if kind is float else kind), f"{place}: {value!r} is no {kind}"


document = json.load(sys.stdin)
calls = 0
for method in document["methods"]:
    name = method["name"].replace(".", "_")
    # A watch needs a connection that stays.
    if name in ("Watch", "Unwatch"):
        continue
    for example in method["examples"]:
        params = {param["name"] + "_" * (param["name"] == "continue"): param["value"] for param in example["params"]}
        check(getattr(client, name)(**params), f"{name}Result", name)
        calls += 1
try:
    client.GetService(service={"metadata": {"namespace": "shop", "name": "nobody"}})
    raise SystemExit("a Service that is not there was found")
except tandem.CallError as error:
    check(error.data, "ErrorData", "error.data")
    assert tandem.STATUS_OF_CODE[error.code] == error.data["status"] == "NOT_FOUND" and not error.data["retryable"]
print(f"{calls} calls")
