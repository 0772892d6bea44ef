"""Products in bf16 over fp32 weights, against AdamW on the fp32 weights themselves."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.common.config.train import Optimizer
from scripts.train.backends.plain import PlainBackend

ALWAYS = lambda _norm: True  # noqa: E731


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, use_cache=False,
        )
    )  # fmt: skip


def backend(precision: torch.dtype) -> PlainBackend:
    return PlainBackend(model(), Optimizer(clip_norm=1e9), precision)


def test_weights_are_rounded_and_everything_else_is_not() -> None:
    half = backend(torch.bfloat16)
    assert {p.dtype for p in half.model.parameters()} == {torch.bfloat16}
    # bf16 would turn a head's slowest pairs at another speed (transformers keeps these as buffers).
    assert half.model.model.rotary_emb.inv_freq.dtype == torch.float32
    exact = dict(model().named_parameters())
    for name, weight in half.weights():
        assert torch.equal(weight, exact[name])


def test_gradients_add_up_in_fp32() -> None:
    """A thousand gradients of 1 and one of 1000 make 2000; in bf16 they would stop at 1256."""
    half = backend(torch.bfloat16)
    head = half.model.lm_head.weight
    for value in (1000.0, *[1.0] * 1000):
        half.backward(head[0, 0] * value)
    assert head.grad is None
    assert half.update(1e-3, ALWAYS) == 2000.0


def test_steps_are_those_of_adamw_on_the_weights() -> None:
    """Fed the same gradients, which a linear loss does not take from the rounded weights."""
    half, full = backend(torch.bfloat16), backend(torch.float32)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for backend_ in (half, full):
            generator.manual_seed(1)
            loss = sum(
                (p * torch.randint(-4, 5, p.shape, generator=generator)).sum()
                for p in backend_.model.parameters()
            )
            backend_.backward(loss)
        assert half.update(1e-2, ALWAYS) == pytest.approx(full.update(1e-2, ALWAYS))
    for (name, one), (_, other) in zip(half.weights(), full.weights(), strict=True):
        assert torch.equal(one, other), name
        assert torch.equal(dict(half.model.named_parameters())[name], one.bfloat16())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_what_was_saved_goes_on_alike(precision: torch.dtype) -> None:
    def step(one: PlainBackend) -> None:
        one.backward(sum(p.float().square().sum() for p in one.model.parameters()))
        one.update(1e-2, ALWAYS)

    straight = backend(precision)
    step(straight)
    weights = {name: value.clone() for name, value in straight.weights()}
    moments = {name: value.clone() for name, value in straight.moments()}
    step(straight)
    resumed = backend(precision)
    resumed.load_weights(weights)
    resumed.load_moments(moments)
    step(resumed)
    for (name, one), (_, other) in zip(straight.weights(), resumed.weights(), strict=True):
        assert torch.equal(one, other), name
    with pytest.raises(KeyError):
        resumed.load_moments({})


def test_a_refused_step_leaves_all_as_it_was() -> None:
    half = backend(torch.bfloat16)
    before = {name: value.clone() for name, value in half.weights()}
    half.backward(half.model.lm_head.weight.sum())
    asked: list[float] = []
    assert half.update(1.0, lambda norm: bool(asked.append(norm))) == pytest.approx(40.0)
    assert asked == [pytest.approx(40.0)]
    assert all(torch.equal(value, before[name]) for name, value in half.weights())
    assert not dict(half.moments())
    half.backward(half.model.lm_head.weight.sum())
    assert half.update(1.0, ALWAYS) == pytest.approx(40.0)  # and not 80: the gradient is forgotten
