"""Plain torch: AdamW over fp32 weights, products in fp32 or bf16.

Each of several processes holds all of it, which is what DeepSpeed calls ZeRO 0: its own does not
add up bf16 gradients in fp32.

In bf16 the model's own weights are rounded copies. Their gradients are added up in fp32 as soon as
a micro-batch has made them: bf16 sums lose what is 256 times smaller than the sum.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from scripts.common.config.train import Optimizer
from scripts.train.backends import MOMENTS
from scripts.train.batches import Batch
from scripts.train.model import token_losses, undecayed
from scripts.train.ranks import ALONE, Ranks


class PlainBackend:
    """A backend for a model on its device; see ``Backend``."""

    def __init__(
        self,
        model: PreTrainedModel,
        settings: Optimizer,
        precision: torch.dtype,
        ranks: Ranks = ALONE,
    ) -> None:
        self.model = model
        self.ranks = ranks
        self._clip_norm = settings.clip_norm
        self._masters = {
            name: _master(parameter, precision) for name, parameter in model.named_parameters()
        }
        self._optimizer = torch.optim.AdamW(
            parameter_groups(model, self._masters, settings.weight_decay),
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )

    def losses(self, batch: Batch, z_weight: float) -> tuple[Tensor, Tensor]:
        return token_losses(self.model, batch, z_weight, self.ranks)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def update(self, lr: float, accept: Callable[[float], bool]) -> float:
        masters = list(self._masters.values())
        gradients = [self.ranks.sum(x.grad) for x in masters if x.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if accept(float(norm)):
            nn.utils.clip_grads_with_norm_(masters, self._clip_norm, norm)
            for group in self._optimizer.param_groups:
                group["lr"] = lr
            self._optimizer.step()
            self._round()
        self._optimizer.zero_grad()
        return float(norm)

    @torch.no_grad()
    def _round(self) -> None:
        """Copy the fp32 weights into the model's, where it has its own."""
        pairs = [
            (parameter, self._masters[name])
            for name, parameter in self.model.named_parameters()
            if parameter is not self._masters[name]
        ]
        if pairs:
            rounded, masters = zip(*pairs, strict=True)
            torch._foreach_copy_(list(rounded), list(masters))

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        for name, master in self._masters.items():
            yield name, master.detach()

    def moments(self) -> Iterator[tuple[str, Tensor]]:
        for name, master in self._masters.items():
            for key, value in self._optimizer.state[master].items():
                yield f"{name}.{key}", value

    @torch.no_grad()
    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        for name, master in self._masters.items():
            master.copy_(tensors[name])
        self._round()

    def load_moments(self, tensors: Mapping[str, Tensor]) -> None:
        for name, master in self._masters.items():
            state = {key: tensors[f"{name}.{key}"].to(master.device) for key in MOMENTS}
            for key, value in state.items():
                if key != "step" and value.shape != master.shape:
                    raise RuntimeError(f"{name}.{key} has the shape {tuple(value.shape)}")
            self._optimizer.state[master] = state


def parameter_groups(
    model: PreTrainedModel, masters: Mapping[str, Tensor], weight_decay: float
) -> list[dict[str, object]]:
    """Return AdamW's two groups of ``masters``, the weights by parameter name."""
    spared = undecayed(model)
    return [
        {
            "params": [value for name, value in masters.items() if name not in spared],
            "weight_decay": weight_decay,
        },
        {
            "params": [value for name, value in masters.items() if name in spared],
            "weight_decay": 0.0,
        },
    ]


def _master(parameter: nn.Parameter, precision: torch.dtype) -> Tensor:
    """Return the fp32 weights of a parameter, which itself is rounded if ``precision`` is less."""
    if precision == parameter.dtype:
        return parameter
    master = parameter.detach().clone()

    def accumulate(rounded: Tensor) -> None:
        assert rounded.grad is not None
        if master.grad is None:
            master.grad = rounded.grad.float()
        else:
            master.grad.add_(rounded.grad)
        rounded.grad = None

    parameter.data = parameter.data.to(precision)
    parameter.register_post_accumulate_grad_hook(accumulate)
    return master
