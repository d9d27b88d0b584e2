"""Drawn pictures with known masks, painted over in every way that a model might."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

HEIGHT, WIDTH = 128, 160
FINE = 4  # drawn so much larger, so that edges are blended
PAINT = (255, 0, 0)


def flat(rng: np.random.Generator) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), rng.integers(20, 200, 3), np.float64)


def gradient(rng: np.random.Generator) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    along = (0.6 * xs / WIDTH + 0.4 * ys / HEIGHT)[..., None]
    first, second = rng.integers(0, 200, (2, 3))
    return first * (1 - along) + second * along


def texture(rng: np.random.Generator) -> np.ndarray:
    coarse = rng.normal(128, 40, (HEIGHT // 4, WIDTH // 4, 3)).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.BICUBIC), np.float64)


def towards_paint(rng: np.random.Generator) -> np.ndarray:
    """A gradient that ends in the paint's own colour."""
    along = np.linspace(0, 1, WIDTH)[None, :, None]
    return (np.array([40.0, 60, 120]) * (1 - along) + np.array(PAINT) * along) + np.zeros(
        (HEIGHT, 1, 1)
    )


BACKGROUNDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "flat": flat,
    "gradient": gradient,
    "texture": texture,
}


def coverage(shape: str, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the shape covers, in [0, 1]."""
    fine = Image.new("L", (WIDTH * FINE, HEIGHT * FINE))
    draw = ImageDraw.Draw(fine)

    def box(*corners: int) -> list[int]:
        return [FINE * value for value in corners]

    if shape == "disc":
        x, y = int(rng.integers(40, WIDTH - 40)), int(rng.integers(40, HEIGHT - 40))
        draw.ellipse(box(x - 24, y - 24, x + 24, y + 24), fill=255)
    elif shape == "ring":
        draw.ellipse(box(40, 20, 120, 100), fill=255)
        draw.ellipse(box(55, 35, 105, 85), fill=0)
    elif shape == "thin":
        for ends in ((10, 20, 150, 60), (20, 110, 140, 80), (80, 5, 60, 120)):
            draw.line(box(*ends), fill=255, width=3 * FINE)
    elif shape == "tiny":
        x, y = int(rng.integers(10, WIDTH - 20)), int(rng.integers(10, HEIGHT - 20))
        draw.rectangle((FINE * x, FINE * y, FINE * (x + 4) - 1, FINE * (y + 4) - 1), fill=255)
    elif shape == "touching":
        draw.ellipse(box(30, 40, 80, 90), fill=255)
    elif shape == "most":
        draw.rectangle(box(10, 8, WIDTH - 14, HEIGHT - 20), fill=255)
    return np.asarray(fine.resize((WIDTH, HEIGHT), Image.BOX), np.float64) / 255


def scene(
    background: np.ndarray, shape: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A picture with other things in it, and the coverage of the thing to be found."""
    cover = coverage(shape, rng)
    picture = Image.fromarray(background.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for x, y, side in ((5, 100, 18), (130, 8, 22), (100, 105, 15), (14, 12, 10)):
        draw.rectangle((x, y, x + side, y + side), fill=tuple(rng.integers(0, 220, 3).tolist()))
    if shape == "touching":
        draw.ellipse((81, 40, 131, 90), fill=(90, 90, 90))
    thing = rng.integers(0, 200, 3) * cover[..., None]
    return np.asarray(picture) * (1 - cover[..., None]) + thing, cover


def painted(
    picture: np.ndarray, cover: np.ndarray, paint: tuple[int, int, int], opacity: float = 1.0
) -> np.ndarray:
    """Lay paint over what is covered."""
    share = opacity * cover[..., None]
    return picture * (1 - share) + np.array(paint) * share


def pixels(picture: np.ndarray) -> np.ndarray:
    return picture.round().clip(0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, rng: np.random.Generator, sigma: float = 8.0) -> np.ndarray:
    return picture + rng.normal(0, sigma, picture.shape)


def compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels(picture)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.float64)


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))
