"""Where the store and the index are is a matter of today: no run keeps it, nor a secret."""

from apprentice.settings.config import load
from apprentice.settings.freezing import frozen_settings, thaw

SECRETS = {
    "store": {"url": "postgresql://me:sesame@db/x"},
    "memory": {"chroma_token": "sesame", "chroma_host": "here", "floor": 0.3},
}


def test_settings_that_are_kept_with_a_run_hold_no_password_and_no_token():
    assert "sesame" not in frozen_settings(load(SECRETS))
    assert "sesame" not in repr(load(SECRETS))


def test_a_resumed_run_uses_the_store_and_the_index_of_today_and_recalls_as_it_did():
    moved = {"store": {"url": "sqlite:///y"}, "memory": {"chroma_token": "new", "chroma_port": 9}}
    gone_on = thaw(frozen_settings(load(SECRETS)), load(moved))
    assert gone_on.store.url.get_secret_value() == "sqlite:///y"
    assert gone_on.memory.chroma_token.get_secret_value() == "new"
    assert (gone_on.memory.chroma_host, gone_on.memory.chroma_port) == ("", 9)
    assert gone_on.memory.floor == 0.3
