from pathlib import Path

import pytest

from apprentice.settings.config import Config, ConfigError, load
from apprentice.settings.freezing import StaleSettingsError, frozen_settings, thaw


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_flags_beat_variables_beat_the_file_beat_the_defaults(monkeypatch):
    Path("apprentice.toml").write_text("seed = 1\n[policy]\nwidth = 2\ntemperature = 0.5\n")
    monkeypatch.setenv("APPRENTICE_POLICY__WIDTH", "3")
    config = load({"policy": {"use": "random", "width": None}})
    assert (config.seed, config.policy.width) == (1, 3)
    assert (config.policy.use, config.policy.temperature) == ("random", 0.5)
    assert load({"policy": {"width": 4}}).policy.width == 4
    assert load({}).limits.steps == Config().limits.steps


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"policy": {"widht": 4}}, "unknown setting 'policy.widht'; known here: dtype"),
        ({"sead": 4}, "unknown setting 'sead'; known here: cache"),
        ({"policy": {"width": 0}}, "setting 'policy.width' is 0: input should be greater than 0"),
        ({"limits": {"steps": "many"}}, "setting 'limits.steps' is 'many'"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_in_one_line(flags, says):
    with pytest.raises(ConfigError) as error:
        load(flags)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_variable_is_an_error_and_not_ignored(monkeypatch):
    monkeypatch.setenv("APPRENTICE_POLISY__WIDTH", "3")
    with pytest.raises(ConfigError, match=r"APPRENTICE_POLISY__WIDTH; known beginnings: .*POLICY"):
        load({})


@pytest.mark.parametrize("text", ["seed = ", "seed = 1\nseed = 2", "\x00"])
def test_a_file_that_is_no_toml_is_named(text):
    Path("mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"cannot read 'mine\.toml'"):
        load({}, Path("mine.toml"))


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"no settings file 'none\.toml'"):
        load({}, Path("none.toml"))


def test_kept_settings_hold_no_secret_and_come_back_whole(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    config = load({"policy": {"use": "openai:m"}, "seed": 7})
    kept = frozen_settings(config)
    assert "sk-very-secret" not in kept
    assert thaw(kept, config) == config


def test_going_on_uses_the_settings_of_then_and_the_places_of_now():
    then = load({"seed": 7, "home": Path("then")})
    now = load({"seed": 8, "home": Path("now")})
    again = thaw(frozen_settings(then), now)
    assert (again.seed, again.home) == (7, Path("now"))


def test_settings_that_another_version_kept_are_refused_in_one_line():
    with pytest.raises(StaleSettingsError, match=r"version: 'policy\.sorcery' is 3") as refused:
        thaw('{"policy": {"sorcery": 3}}', Config())
    assert "\n" not in str(refused.value)
