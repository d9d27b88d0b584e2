"""What is minimised: next token, flow matching, stop, spectra, adversaries, latents, pixels.

Every function returns a mean, in fp32 or wider; the loop weighs and adds them up.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

IGNORED = -100  # the target of a token that nobody has to predict


def next_token(
    logits: Float[Tensor, "tokens vocab"], targets: Int[Tensor, " tokens"]
) -> Float[Tensor, ""]:
    """Cross-entropy in nats per target; targets of IGNORED do not count, none at all gives 0."""
    total = F.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def flow_matching(
    predicted: Float[Tensor, "*shape"],
    noise: Float[Tensor, "*shape"],
    data: Float[Tensor, "*shape"],
) -> Float[Tensor, ""]:
    """Mean squared error of the velocity of the straight path from noise to data."""
    return (predicted.float() - (data - noise).float()).square().mean()


def flow_matching_where(
    counted: Bool[Tensor, "batch rows columns"],
    predicted: Float[Tensor, "batch channels rows columns"],
    noise: Float[Tensor, "batch channels rows columns"],
    data: Float[Tensor, "batch channels rows columns"],
) -> Float[Tensor, ""]:
    """The same of the latents that count; every picture weighs the same, one without them 0."""
    error = (predicted.float() - (data - noise).float()).square().mean(1)
    totals = (error * counted).sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)
    return totals.mean()


def stop(logits: Float[Tensor, "steps 2"], is_last: Bool[Tensor, " steps"]) -> Float[Tensor, ""]:
    """Cross-entropy of the stop head: class 1 at the last step of an utterance, else class 0."""
    return F.cross_entropy(logits.float(), is_last.long())


def spectral(
    made: Float[Tensor, "batch samples"],
    real: Float[Tensor, "batch samples"],
    windows: Sequence[int],
    floor: float,
) -> Float[Tensor, ""]:
    """Distance of magnitude spectra at several resolutions (windows in samples, hop a quarter).

    For each: relative Frobenius distance plus mean distance of logarithms; magnitudes below
    `floor` count as the floor. Averaged over windows. (Yamamoto et al. 2020, Parallel WaveGAN)
    """
    total = made.new_zeros(())
    for window in windows:
        one, other = magnitudes(made, window, floor), magnitudes(real, window, floor)
        relative = torch.linalg.vector_norm(one - other) / torch.linalg.vector_norm(other)
        total = total + relative + (one.log() - other.log()).abs().mean()
    return total / len(windows)


def magnitudes(
    wave: Float[Tensor, "batch samples"], window: int, floor: float
) -> Float[Tensor, "batch bins frames"]:
    """Magnitude spectrum, Hann window, hop a quarter; smooth at zero so that gradients exist."""
    hann = torch.hann_window(window, dtype=wave.dtype, device=wave.device)
    bins = torch.stft(wave, window, window // 4, window=hann, return_complex=True)
    return (bins.real.square() + bins.imag.square() + floor**2).sqrt()


def kl(mean: Float[Tensor, "*shape"], std: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Divergence of N(mean, std) from N(0, 1), in nats per latent number."""
    return (mean.square() + std.square() - 1 - 2 * std.log()).mean() / 2


def pixels(
    painted: Float[Tensor, "batch channels height width"],
    real: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, ""]:
    """L1 plus mean square, in units of the pixel scale (half the range for [-1, 1])."""
    error = painted - real
    return error.abs().mean() + error.square().mean()


def fooled(fake_scores: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """The generator's hinge loss, averaged over judges: their scores of what it made should rise.

    Score with the judges' weights detached (`torch.func.functional_call`), so that one backward
    pass serves generator and judges.
    """
    return -torch.stack([scores.mean() for scores in fake_scores]).mean()


def judged(
    real_scores: Sequence[Float[Tensor, "..."]], fake_scores: Sequence[Float[Tensor, "..."]]
) -> Float[Tensor, ""]:
    """The judges' hinge loss: real above 1, made (pass it detached) below -1."""
    pairs = zip(real_scores, fake_scores, strict=True)
    each = [F.relu(1 - real).mean() + F.relu(1 + fake).mean() for real, fake in pairs]
    return torch.stack(each).mean()
