from random import Random

import pytest
import torch
from peft import LoraConfig, get_peft_model

from distill.engine.lanes import BLOCK, Feed, Lanes
from distill.models.models import best_dtype
from distill.models.weights import is_llama_like
from tiny_models import a_model

KINDS = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "llama with biases": {"attention_bias": True},
    "llama 3 rope": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        }
    },
}


FAST_BFLOAT16 = pytest.mark.skipif(
    best_dtype(torch.device("cpu")) is not torch.bfloat16,
    reason="the last bit is a property of the kernels, measured for AVX-512 BF16",
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # these models are too small to share
    yield
    torch.set_num_threads(before)


def a_transcript(length: int, seed: int = 0) -> list[int]:
    rng = Random(seed)
    return [rng.randrange(260) for _ in range(length)]


def fed(lanes: Lanes, transcripts, rng: Random) -> dict[tuple[int, int], torch.Tensor]:
    """Feed the transcripts in random pieces; return the hidden state at each piece's end."""
    held = [0] * len(transcripts)
    seen = {}
    while any(n < len(ids) for n, ids in zip(held, transcripts, strict=True)):
        feeds = []
        for lane, ids in enumerate(transcripts):
            count = rng.choice([0, 1, 2, 5, 33, 90])
            if count and held[lane] < len(ids):
                feeds.append(Feed(lane, held[lane], ids[held[lane] : held[lane] + count]))
                held[lane] += len(feeds[-1].ids)
        if feeds:
            for feed, hidden in zip(feeds, lanes.feed(feeds), strict=True):
                seen[feed.lane, feed.start + len(feed.ids)] = hidden
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_give_what_one_forward_over_the_whole_gives(kind):
    model = a_model(kind.split()[0], **KINDS[kind])
    assert is_llama_like(model)
    transcripts = [a_transcript(BLOCK + 70), a_transcript(90, seed=1), a_transcript(300, seed=2)]
    seen = fed(Lanes(model, lanes=3, length=1024), transcripts, Random(0))
    for lane, ids in enumerate(transcripts):
        with torch.inference_mode():
            whole = model.model(torch.tensor([ids])).last_hidden_state[0]
        for (_, count), hidden in ((key, value) for key, value in seen.items() if key[0] == lane):
            torch.testing.assert_close(hidden, whole[count - 1], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), pytest.param(torch.bfloat16, 0.0, marks=FAST_BFLOAT16)],
)
def test_what_a_token_gets_does_not_depend_on_pieces_or_company(dtype, tolerance):
    model = a_model().to(dtype)
    transcripts = [a_transcript(BLOCK + 70), a_transcript(90, seed=1), a_transcript(300, seed=2)]
    lanes = Lanes(model, lanes=3, length=1024)
    for (lane, count), hidden in fed(lanes, transcripts, Random(1)).items():
        ids = transcripts[lane][:count]
        if count > 1:
            lanes.feed([Feed(0, 0, ids[:-1])])
        alone = lanes.feed([Feed(0, count - 1, ids[-1:])])[0]
        torch.testing.assert_close(alone, hidden, atol=tolerance, rtol=tolerance)


@FAST_BFLOAT16
def test_bfloat16_agrees_to_the_last_bit_with_a_padded_forward_of_transformers():
    model = a_model().to(torch.bfloat16)
    ids = a_transcript(BLOCK + 70)
    with torch.inference_mode():
        padded = torch.tensor([ids + [0] * (2 * BLOCK - len(ids))])
        whole = model.model(padded).last_hidden_state[0]
    for (_, count), hidden in fed(Lanes(model, lanes=1, length=1024), [ids], Random(0)).items():
        assert torch.equal(hidden, whole[count - 1])


def test_a_copied_prefix_is_as_good_as_a_fed_one():
    lanes = Lanes(a_model(), lanes=2, length=512)
    ids = a_transcript(100)
    expected = lanes.feed([Feed(0, 0, ids)])[0]
    copied = lanes.feed([Feed(1, 60, ids[60:], donor=0)])
    torch.testing.assert_close(copied[0], expected)


def test_a_lane_that_goes_back_forgets_what_came_after():
    lanes = Lanes(a_model(), lanes=1, length=512)
    ids, other = a_transcript(100), a_transcript(100, seed=1)
    expected = lanes.feed([Feed(0, 0, ids[:50] + other[50:])])[0]
    lanes.feed([Feed(0, 0, ids)])
    torch.testing.assert_close(lanes.feed([Feed(0, 50, other[50:])])[0], expected)


def test_logits_are_those_of_the_model():
    model = a_model()
    ids = a_transcript(40)
    lanes = Lanes(model, lanes=1, length=512)
    hidden_RE = lanes.feed([Feed(0, 0, ids)])
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0, -1]
    torch.testing.assert_close(lanes.logits(hidden_RE)[0], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        lanes.some_logits(hidden_RE[0], (5, 7)), expected[[5, 7]], atol=1e-4, rtol=1e-4
    )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
def test_pull_folds_in_the_adapter_that_training_left_and_spares_the_model():
    model = a_model()
    tuned = get_peft_model(model, LoraConfig(r=2, target_modules="all-linear"))
    lanes = Lanes(model, lanes=1, length=512)
    ids = a_transcript(40)
    before = lanes.feed([Feed(0, 0, ids)])[0]
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    torch.testing.assert_close(lanes.feed([Feed(0, 0, ids)])[0], before)
    lanes.pull()
    with torch.inference_mode():
        expected = tuned(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1]
    assert (expected - before).abs().max() > 0.1
    torch.testing.assert_close(lanes.feed([Feed(0, 0, ids)])[0], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        a_model("gpt_neox"),
        a_model(hidden_act="gelu"),
        a_model(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
        a_model("qwen2", use_sliding_window=True, sliding_window=64, max_window_layers=1),
    ],
    ids=["gpt_neox", "another activation", "rope by length", "sliding window"],
)
def test_models_that_compute_something_else_are_not_taken(model):
    assert not is_llama_like(model)
