"""A model written for llama.cpp is the model that was there."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from distill.models.gguf_export import NoGgufError, write_gguf
from distill.models.models import PACKAGED, quietly
from real_model import kept_model
from tiny_models import a_model, a_tokenizer

IDS = torch.tensor([[3, 4, 5, 60, 70, 80]])
TEXT = "Go to shelf 12, don't wait!"  # with a word that is merged


def a_folder(path, kind="llama", **changes):
    model = a_model(kind, **changes).bfloat16()
    model.save_pretrained(path)
    a_tokenizer().save_pretrained(path)
    told = json.loads((path / "tokenizer.json").read_text())
    told["model"]["vocab"]["to"] = len(told["model"]["vocab"])
    told["model"]["merges"] = [["t", "o"]]
    (path / "tokenizer.json").write_text(json.dumps(told))
    return path


def read_again(file):
    """Return what transformers reads from a GGUF, which undoes what llama.cpp's format does."""
    told = {"gguf_file": file.name, "local_files_only": True}
    with quietly():
        exact = GgufConfig(gguf_file=file.name, dequantize=True)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, dtype=torch.float32, quantization_config=exact, **told
        )
        return model, AutoTokenizer.from_pretrained(file.parent, **told)


def fields(file) -> dict:
    return {name: field.contents() for name, field in GGUFReader(file).fields.items()}


def says(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def test_a_gguf_says_what_the_model_says_and_reads_what_it_reads(tmp_path):
    folder = a_folder(tmp_path / "whole")
    file = write_gguf(folder, tmp_path / "small.gguf", "small")
    model, tokenizer = read_again(file)
    exact = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert torch.allclose(says(model), says(exact), atol=1e-4)
    theirs = AutoTokenizer.from_pretrained(folder)
    assert tokenizer(TEXT).input_ids == theirs(TEXT).input_ids
    assert len(theirs(TEXT).input_ids) == len(TEXT) - 1
    assert tokenizer.chat_template == theirs.chat_template
    assert [each.name for each in tmp_path.glob("*.gguf")] == ["small.gguf"]


def test_a_gguf_says_how_text_is_cut_and_which_tokens_are_no_text(tmp_path):
    told = fields(write_gguf(a_folder(tmp_path / "whole"), tmp_path / "m.gguf", "small"))
    assert told["general.name"] == "small"
    assert (told["tokenizer.ggml.model"], told["tokenizer.ggml.pre"]) == ("gpt2", "gpt-2")
    kinds = told["tokenizer.ggml.token_type"]
    assert len(kinds) == told["llama.vocab_size"] == 264
    assert (kinds[:4], kinds[-1]) == ([3, 3, 3, 1], 5)  # control, normal; unused at the end
    eos = told["tokenizer.ggml.eos_token_id"]
    assert told["tokenizer.ggml.tokens"][eos] == "<|im_end|>"


def test_digits_that_stand_alone_are_told(tmp_path):
    folder = a_folder(tmp_path / "whole")
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    alone = {"type": "Digits", "individual_digits": True}
    told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [alone, told["pre_tokenizer"]]}
    file.write_text(json.dumps(told))
    written = fields(write_gguf(folder, tmp_path / "m.gguf", "small"))
    assert written["tokenizer.ggml.pre"] == "smollm"


@pytest.mark.parametrize(
    ("file", "path", "value", "says"),
    [
        ("config.json", ("model_type",), "gpt_neox", "its architecture is 'gpt_neox'"),
        ("config.json", ("rope_parameters", "rope_type"), "llama3", "positions are 'llama3'"),
        ("config.json", ("attention_bias",), True, "have biases"),
        ("tokenizer.json", ("model", "type"), "Unigram", "tokenizer is Unigram after ByteLevel"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, file, path, value, says):
    folder = a_folder(tmp_path / "whole")
    told = json.loads((folder / file).read_text())
    place = told
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / file).write_text(json.dumps(told))
    with pytest.raises(NoGgufError, match=says) as raised:
        write_gguf(folder, tmp_path / "m.gguf", "small")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("*.gguf"))


@pytest.mark.slow
def test_the_default_model_is_written_as_whoever_packaged_it_wrote_it(pytestconfig, tmp_path):
    packaged = PACKAGED["smollm2-135m"]
    spec = find_spec(packaged.module)
    theirs = GGUFReader(Path(spec.origin).parent / packaged.file)
    ours = GGUFReader(write_gguf(kept_model(pytestconfig), tmp_path / "m.gguf", "smollm2"))
    assert {each.name: tuple(each.shape) for each in ours.tensors} == {
        each.name: tuple(each.shape) for each in theirs.tensors
    }
    other = ("general.", "GGUF.")
    differing = {
        name
        for name, field in theirs.fields.items()
        if not name.startswith(other)
        and (name not in ours.fields or ours.fields[name].contents() != field.contents())
    }
    assert differing == {"tokenizer.ggml.pre"}  # transformers' reader drops the digits' step
