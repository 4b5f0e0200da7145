import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from distill.models.models import (
    DEFAULT_MODEL,
    PACKAGED,
    ModelNotFoundError,
    ModelNotKeptError,
    Packaged,
    load_model,
    load_tokenizer,
    resolve,
)
from real_model import kept_model
from tiny_models import a_model, a_tokenizer


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a network request was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def a_folder(path: Path) -> Path:
    a_model().save_pretrained(path)
    a_tokenizer().save_pretrained(path)
    return path


@pytest.mark.usefixtures("no_network")
def test_a_path_is_taken_as_it_is(tmp_path):
    folder = a_folder(tmp_path / "mine")
    assert resolve(str(folder), tmp_path / "cache") == folder
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("no_network")
def test_a_name_is_found_in_the_cache_before_anywhere_else(tmp_path):
    kept = a_folder(tmp_path / "models" / "someone--small")
    assert resolve("someone/small", tmp_path) == kept


@pytest.mark.usefixtures("no_network")
def test_an_unknown_name_says_in_one_line_what_was_tried(tmp_path):
    with pytest.raises(ModelNotFoundError) as raised:
        resolve("smolm2", tmp_path)
    said = str(raised.value)
    assert "'smolm2'" in said
    assert "the cache" in said
    assert "not the hub" in said
    assert DEFAULT_MODEL in said
    assert "\n" not in said


@pytest.mark.usefixtures("no_network")
def test_a_path_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path):
    with pytest.raises(ModelNotFoundError, match="not the hub"):
        resolve(str(tmp_path / "gone" / "model"), tmp_path)


@pytest.mark.usefixtures("no_network")
def test_a_missing_package_is_named(tmp_path, monkeypatch):
    absent = Packaged(module="no_such_module", file="x", distribution="x-model", hub="x")
    monkeypatch.setitem(PACKAGED, "x", absent)
    with pytest.raises(ModelNotFoundError, match="package 'x-model', which is not installed"):
        resolve("x", tmp_path)


@pytest.mark.usefixtures("no_network")
def test_a_cache_that_cannot_be_written_says_so_in_one_line(tmp_path):
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(ModelNotKeptError, match="cannot keep model 'smollm2-135m'") as raised:
        resolve(DEFAULT_MODEL, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("no_network")
def test_the_packaged_model_loads_without_network(pytestconfig):
    folder = kept_model(pytestconfig)
    tokenizer = load_tokenizer(folder)
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi."}], tokenize=False, add_generation_prompt=True
    )
    assert said == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        "<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [1, 2]
    assert tokenizer.eos_token == "<|im_end|>"
    assert len(tokenizer.encode("12")) == 2  # digits stand alone, as in its training


def test_the_packaged_model_says_sensible_things(pytestconfig):
    import torch

    folder = kept_model(pytestconfig)
    model = load_model(folder, torch.float32, torch.device("cpu"))
    assert model.config.model_type == "llama"
    assert not hasattr(model.config, "quantization_config")
    tokenizer = load_tokenizer(folder)
    ids = tokenizer.encode("One, two, three, four, five,", return_tensors="pt")
    with torch.inference_mode():
        likeliest = model(ids).logits[0, -1].argmax()
    assert tokenizer.decode(likeliest) == " six"


@pytest.mark.slow
def test_two_processes_may_unpack_the_model_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from distill.models.models import *;"
        "print(resolve(DEFAULT_MODEL, Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate()[0].strip() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0] == said[1]
    assert [each.name for each in (tmp_path / "models").iterdir()] == [DEFAULT_MODEL]


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_model(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from distill.models.models import *;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**8, 10**8));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resolve(DEFAULT_MODEL, Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ModelNotKeptError: cannot keep model 'smollm2-135m'" in run.stderr
    assert list((tmp_path / "models").iterdir()) == []
    shutil.rmtree(tmp_path)
