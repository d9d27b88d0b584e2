"""Hooks of Schemathesis: what is asked stays as odd as it was drawn, only never so dear.

A generated request for a thousand denoising steps, or for eight thousand tokens, is a correct one
and takes minutes. Numbers that cost are brought down to small ones, where they are in range.
"""

from typing import Any

import schemathesis

DEAR = {
    "max_tokens": (2**31, 8),
    "max_completion_tokens": (2**31, 8),
    "max_output_tokens": (2**31, 8),
    "num_inference_steps": (1000, 1),
    "n": (10, 2),
}
"""The most that is allowed, and the most that is asked."""
WRITTEN = {"/v1/chat/completions": "max_tokens", "/v1/responses": "max_output_tokens"}
PAINTED = "/v1/images/generations"
SMALL = "48x32"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Bound what a request costs."""
    body = case.body
    if not isinstance(body, dict):
        return
    for name, (most, cheap) in DEAR.items():
        value = body.get(name)
        if isinstance(value, int) and cheap < value <= most:
            body[name] = 1 + value % cheap
    if (limit := WRITTEN.get(case.operation.path)) and body.get(limit) is None:
        body[limit] = 4
    if case.operation.path == PAINTED:
        if body.get("size") in (None, "", "auto"):
            body["size"] = SMALL
        if body.get("num_inference_steps") is None:
            body["num_inference_steps"] = 1
