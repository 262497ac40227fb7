"""Keys of the API in both databases; what the drivers say of rows that were changed is not the same in both."""

from __future__ import annotations

import pytest

from corrida.errors import NotFound
from corrida.inference.keys import Keys


def test_a_name_is_given_once_and_a_key_opens_until_it_is_revoked(world, corrida):
    said = corrida("keys", "add", "bank")
    assert "there was a key bank already" in corrida.refuses("keys", "add", "bank")
    keys = Keys(world.service.database)
    key, text = keys.add("auditor", sees_all=True, per_minute=5)
    assert text not in said.out
    assert keys.find(text) == key
    assert [one.name for one in keys.list()] == ["auditor", "bank"]
    shown = {line.split()[0]: line.split() for line in corrida("keys", "list").out.splitlines()}
    assert "600" in shown["bank"]  # the limit of the settings
    assert "5" in shown["auditor"]
    keys.revoke("auditor")
    assert keys.find(text) is None
    with pytest.raises(NotFound, match="no key 'auditor' that opens"):
        keys.revoke("auditor")
    assert "there was a key auditor already" in corrida.refuses("keys", "add", "auditor")
    assert keys.any()
