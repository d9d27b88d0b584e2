"""Ten small samples of each task, as a manifest: what a miniature must be able to learn by heart.

`write_samples(folder)` writes media and `<task>.jsonl`; `TASKS` names them.
"""

import json
import math
from pathlib import Path

import av
import numpy as np
import PIL.Image
import soundfile
import torch

from mingle.checkpoints.flash_omni_2 import FAMILY
from mingle.checkpoints.flash_omni_2.painter_config import SEGMENT_WORDS
from mingle.checkpoints.flash_omni_2.processor import TEMPLATE
from mingle.checkpoints.save import create
from mingle.training.tasks.brush import open_gates
from miniature import PERCEPTION, random_modules
from miniature.configs import painter_configs, preprocessor_config, root_config, talker_configs
from miniature.words import TALKER_SPECIAL, write_tokenizer

PARTS = (*PERCEPTION, "talker", "painter")

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 215, 50),
    "white": (245, 245, 245),
}
PLACES = {"left": (10, 16), "right": (22, 16)}
SIDE, RADIUS = 32, 7  # pixels
MASK = "purple"  # the colour that segmentation paints in
FACTS = {
    "the sky": "blue",
    "grass": "green",
    "a cat's child": "kitten",
    "two and two": "four",
    "frozen water": "ice",
    "the king's wife": "queen",
    "a baby dog": "puppy",
    "noon": "midday",
    "seven days": "a week",
    "the opposite of up": "down",
}
NUMBERS = "one two three four five six seven eight nine ten".split()
RATE_HZ = 44100
OWN = ("vae.*", "autoencoder.*", "transformer.*")  # they begin as their own constructors draw them
SCENES = [(colour, place) for place in PLACES for colour in COLOURS]


def write_samples(folder: Path) -> dict[str, list[dict]]:
    """Write everything; the records by task."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = {
        "text": [_talk(f"What is {thing}?", answer) for thing, answer in FACTS.items()],
        "picture_question": [_picture_question(folder, *scene) for scene in SCENES],
        "film_question": [_film_question(folder, *scene) for scene in SCENES],
        "recognition": [_recognition(folder, number) for number in range(10)],
        "synthesis": [_synthesis(folder, number) for number in range(10)],
        "paint": [_paint(folder, *scene) for scene in SCENES],
        "edit": [_edit(folder, number) for number in range(10)],
        "segment": [_segment(folder, *scene) for scene in SCENES],
    }
    for task, records in tasks.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{task}.jsonl").write_text(lines)
    return tasks


def picture(colour: tuple[int, int, int], place: str) -> PIL.Image.Image:
    """A disc on grey."""
    pixels = np.full((SIDE, SIDE, 3), 90, dtype=np.uint8)
    pixels[disc(place)] = colour
    return PIL.Image.fromarray(pixels)


def disc(place: str) -> np.ndarray:
    """Where the disc is: a boolean picture."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    x, y = PLACES[place]
    return (columns - x) ** 2 + (rows - y) ** 2 < RADIUS**2


def sound(number: int, seconds: float) -> np.ndarray:
    """Two tones that tell the number, no louder than a decoder of the released kind can make."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    low, high = 200 + 50 * number, 800 + 100 * (3 * number % 10)
    wave = 0.05 * np.sin(2 * math.pi * low * time) + 0.04 * np.sin(2 * math.pi * high * time)
    return wave.astype(np.float32)


def _talk(question: str, answer: str, **media: list[str]) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **media}


def _picture_question(folder: Path, colour: str, place: str) -> dict:
    file = _saved(folder, f"{colour}-{place}.png", picture(COLOURS[colour], place))
    return _talk("<image>What is it, and where?", f"{colour}, {place}", images=[file])


def _film_question(folder: Path, colour: str, place: str) -> dict:
    file = f"{colour}-to-{place}.mp4"
    other = next(p for p in PLACES if p != place)
    with av.open(str(folder / file), "w") as out:
        stream = out.add_stream("libx264", rate=2)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for where in (other, other, place, place):
            frame = av.VideoFrame.from_image(picture(COLOURS[colour], where))
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return _talk("<video>Where does it go?", f"{colour} to the {place}", videos=[file])


def _recognition(folder: Path, number: int) -> dict:
    file = f"heard-{number}.wav"
    soundfile.write(folder / file, sound(number, 1.0), RATE_HZ)
    question = TEMPLATE.recognition.instruction + "<audio>"
    return _talk(question, f"number {NUMBERS[number]}", audios=[file])


def _synthesis(folder: Path, number: int) -> dict:
    file = f"said-{number}.wav"
    soundfile.write(folder / file, sound(number, 4.0), RATE_HZ)
    return _talk(f"This is number {NUMBERS[number]}.", "<audio>", audios=[file])


def _paint(folder: Path, colour: str, place: str) -> dict:
    file = _saved(folder, f"{colour}-{place}.png", picture(COLOURS[colour], place))
    return _talk(f"A {colour} disc on the {place}", "<image>", images=[file])


def _edit(folder: Path, number: int) -> dict:
    colour, place = SCENES[number]
    wished = list(COLOURS)[(number + 1) % len(COLOURS)]
    before = _saved(folder, f"{colour}-{place}.png", picture(COLOURS[colour], place))
    after = _saved(folder, f"{wished}-{place}.png", picture(COLOURS[wished], place))
    return _talk(f"<image>Make it {wished}", "<image>", images=[before, after])


def _segment(folder: Path, colour: str, place: str) -> dict:
    before = _saved(folder, f"{colour}-{place}.png", picture(COLOURS[colour], place))
    after = _saved(folder, f"mask-{place}.png", picture(SEGMENT_WORDS.colours[MASK], place))
    words = SEGMENT_WORDS.refer.format(phrase=f"the {colour} disc", colour=MASK)
    return _talk(f"<image>{words}", "<image>", images=[before, after])


def _saved(folder: Path, name: str, image: PIL.Image.Image) -> str:
    image.save(folder / name)
    return name


def write_start(folder: Path) -> Path:
    """A miniature with all parts, wide enough that what it makes can come through.

    A flow needs as many channels as the noise it removes has: 64 in a patch of latents that speak,
    16 in one of a picture, where each latent is a patch of its own. Its transformer has positions
    for pictures of SIDE pixels: that is what the commands paint then. Its gates begin open.
    """
    configs = {"config.json": root_config(), **talker_configs(), **painter_configs()}
    perception = configs["config.json"]
    perception["llm_config"] |= {"head_dim": 64, "partial_rotary_factor": 1.0}
    perception["vision_config"] |= {"num_heads": 2}
    talker = configs["talker/config.json"]
    talker["history_patch_size"] = 4
    talker["flowmodel"] |= {"hidden_size": 128, "num_heads": 4, "depth": 2}
    for kwargs in ("enc_kwargs", "dec_kwargs"):
        configs["talker/vae/config.json"][kwargs]["backbone"] |= {
            "hidden_size": 64,
            "intermediate_size": 128,
        }
    configs["transformer/config.json"] |= {
        "dim": 64,
        "n_heads": 4,
        "n_kv_heads": 4,
        "n_layers": 2,
        "all_patch_size": [1],
        "axes_lens": [512, SIDE // 8, SIDE // 8],  # a latent stands for 8 pixels
    }
    configs["vae/config.json"] |= {
        "block_out_channels": [8, 16, 32, 32],
        "scaling_factor": 1.5,  # brings the latents that it learns to about unit size
        "shift_factor": 0.0,
    }
    draw = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        modules = random_modules(FAMILY, PARTS, configs, draw, untouched=OWN)
        open_gates(modules["painter"].get_submodule("transformer"))
    create(FAMILY, configs, modules, folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_config()))
    write_tokenizer(folder)
    write_tokenizer(folder / "talker" / "llm", TALKER_SPECIAL)
    return folder
