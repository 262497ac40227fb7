"""The recipe for receivers of webhooks in docs/serving.md checks what corrida signs."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

from corrida.inference.webhooks import sign

PAGE = Path(__file__).resolve().parents[3] / "docs" / "serving.md"


def test_the_recipe_takes_what_is_signed_and_nothing_else() -> None:
    block = re.search(r"```python\n(import base64.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    names: dict[str, Any] = {}
    exec(block.group(1), names)
    genuine = names["genuine"]
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    body, now = '{"type": "analysis.processed", "é": 1}'.encode(), int(time.time())

    def headers(when: int) -> dict[str, str]:
        signature = sign(secret, "msg_1", when, body)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(when), "webhook-signature": signature}

    assert genuine(secret, headers(now), body)
    assert not genuine(secret, headers(now), body + b" ")
    assert not genuine(secret, headers(now) | {"webhook-id": "msg_2"}, body)
    assert not genuine(secret, headers(now - 400), body)
    assert not genuine("whsec_" + base64.b64encode(bytes(32)).decode(), headers(now), body)
