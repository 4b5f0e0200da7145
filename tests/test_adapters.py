"""Trained weights are kept, found again, promoted, rolled back and traced."""

import json
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from distill.models.adapters import (
    POINTER,
    AdapterExistsError,
    Adapters,
    FullParentError,
    NoWayBackError,
    export,
    load_adapter,
    load_student,
    weights_digest,
)
from distill.models.student import Lora, Student, Trained
from distill.models.weights import dense
from environments.errors import UnknownNameError
from learning import a_lineage, tiny_model, tiny_student, tokenizer

CPU = torch.device("cpu")
LINEAGE = a_lineage(base="tiny", episodes=("e1", "e2"), seed=7)
IDS = torch.tensor([[3, 4, 5, 6, 7, 8]])


def trained_student(kind: Trained) -> Student:
    student = tiny_student(kind, lora=Lora(rank=4))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in student.weights.values():
            weight.add_(torch.randn_like(weight) * 0.1)
    student.publish()
    return student


def says(model) -> torch.Tensor:
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        return model(IDS).logits


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    tiny_model().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def kept(tmp_path):
    return Adapters(tmp_path / "adapters")


@pytest.mark.parametrize("kind", Trained)
def test_what_is_kept_says_what_was_trained(kept, base, kind):
    student = trained_student(kind)
    folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=kind))
    again = load_adapter(folder, base, torch.float32, CPU)
    assert torch.allclose(says(again), says(student.model), atol=1e-5)
    assert not torch.allclose(says(again), says(tiny_model()), atol=1e-2)


# peft 0.21 asks transformers 5.23 by the old name
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_a_lora_is_a_peft_directory(kept, base):
    student = trained_student(Trained.LORA)
    folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=Trained.LORA))
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    assert torch.allclose(says(theirs), says(student.model), atol=1e-5)
    assert (folder / "adapter_model.safetensors").exists()
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<end>"


def test_fully_trained_weights_are_a_transformers_model(kept):
    student = trained_student(Trained.FULL)
    folder = kept.add(student, tokenizer(), LINEAGE)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.allclose(says(theirs), says(student.model), atol=1e-5)


@pytest.mark.parametrize("kind", Trained)
def test_an_exported_adapter_is_one_whole_model(kept, base, tmp_path, kind):
    student = trained_student(kind)
    folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=kind))
    whole = export(folder, base, tmp_path / "whole", torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(whole)
    assert torch.allclose(says(theirs), says(student.model), atol=1e-5)
    assert not (whole / "adapter_config.json").exists()


def test_training_goes_on_from_a_kept_lora(kept, base):
    student = trained_student(Trained.LORA)
    folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=Trained.LORA))
    again = Student(load_adapter(folder, base, torch.float32, CPU), Trained.LORA)
    assert all(torch.equal(again.weights[n], w) for n, w in student.weights.items())


@pytest.mark.parametrize("parent", [None, *Trained])
@pytest.mark.parametrize("kind", Trained)
def test_learning_goes_on_from_whatever_it_can(kept, base, parent, kind):
    folder = None
    said = says(tiny_model())
    if parent is not None:
        student = trained_student(parent)
        folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=parent))
        said = says(student.model)
    if (parent, kind) == (Trained.FULL, Trained.LORA):
        with pytest.raises(FullParentError, match="'first' was fully trained"):
            load_student(folder, base, kind, dtype=torch.float32, device=CPU)
        return
    again = load_student(folder, base, kind, dtype=torch.float32, device=CPU, rank=8)
    assert torch.allclose(says(again.model), said, atol=1e-5)
    assert (again.trained, any("lora" in name for name in again.weights)) == (
        kind,
        kind is Trained.LORA,
    )
    if kind is Trained.LORA:
        assert again.lora.rank == (8 if parent is None else 4)


def test_other_weights_have_another_digest(tmp_path, base):
    tiny_model(seed=1).save_pretrained(tmp_path / "other")
    assert weights_digest(base) == weights_digest(base)
    assert weights_digest(base) != weights_digest(tmp_path / "other")


def test_lineage_comes_back_as_it_was(kept):
    kept.add(tiny_student(), tokenizer(), LINEAGE)
    assert kept.lineage("first") == LINEAGE
    assert set(LINEAGE.versions) == {"torch", "transformers", "peft", "safetensors"}


def test_an_adapter_is_never_overwritten(kept):
    kept.add(tiny_student(), tokenizer(), LINEAGE)
    with pytest.raises(AdapterExistsError, match="'first'"):
        kept.add(tiny_student(), tokenizer(), LINEAGE)


def test_promotion_and_rollback_move_one_pointer(kept):
    for name in ("first", "second"):
        kept.add(tiny_student(), tokenizer(), replace(LINEAGE, name=name))
    assert kept.current() is None
    assert kept.promoted() == ()
    kept.promote("first")
    kept.promote("second")
    assert kept.promoted() == ("first", "second")
    assert kept.current() == "second"
    assert kept.roll_back() == "first"
    assert kept.promoted() == ("first",)
    assert kept.roll_back() is None
    with pytest.raises(NoWayBackError):
        kept.roll_back()


def test_a_promotion_cut_off_before_its_rename_changes_nothing(kept, tmp_path):
    kept.add(tiny_student(), tokenizer(), LINEAGE)
    kept.promote("first")
    (tmp_path / "adapters" / f".{POINTER}").write_text('{"promo')
    assert kept.current() == "first"
    assert json.loads((tmp_path / "adapters" / POINTER).read_text()) == {"promoted": ["first"]}


def test_what_is_not_there_cannot_be_promoted(kept):
    with pytest.raises(UnknownNameError, match="no adapter 'ghost'"):
        kept.promote("ghost")


def test_blame_lists_the_episodes_of_an_adapter_and_its_ancestors(kept):
    kept.add(tiny_student(), tokenizer(), LINEAGE)
    child = replace(LINEAGE, name="child", parent="first", episodes=("e2", "e3"))
    kept.add(tiny_student(), tokenizer(), child)
    assert kept.blame("child") == ("e1", "e2", "e3")
    assert kept.blame("first") == ("e1", "e2")


def test_the_weights_of_a_lora_act_as_they_are_exported(kept, base, tmp_path):
    student = trained_student(Trained.LORA)
    folder = kept.add(student, tokenizer(), replace(LINEAGE, trained=Trained.LORA))
    whole = AutoModelForCausalLM.from_pretrained(
        export(folder, base, tmp_path / "whole", torch.float32)
    )
    ours = dense(student.model.model.layers[1].self_attn.q_proj)
    assert torch.equal(whole.model.layers[1].self_attn.q_proj.weight, ours)
