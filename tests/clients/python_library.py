"""Drives the official `pusher` library: one JSON call per line in, one JSON answer per line out."""

import json
import sys

import pusher


def answer(call):
    client = pusher.Pusher(**call["options"])
    try:
        return {"ok": getattr(client, call["method"])(*call["args"])}
    except Exception as error:  # what the caller would meet: its kind is what the test asks for
        return {"error": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
