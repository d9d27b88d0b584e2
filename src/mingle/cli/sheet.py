"""Pages that commands leave behind: one HTML file, what it shows lies beside it."""

import html
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8884; padding: 1rem 0; }
h1 { margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
p { margin: .4rem 0; } .you::before { content: "you  "; opacity: .6; }
.model { font-weight: 600; } .model::before { content: "model  "; opacity: .6; font-weight: 400; }
.note, figcaption { opacity: .7; font-size: .85rem; }
.media { display: flex; flex-wrap: wrap; gap: 1rem; align-items: end; }
figure { margin: .4rem 0; } audio { width: 20rem; max-width: 100%; }
img, video { min-width: 192px; max-width: 100%; image-rendering: pixelated; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .2rem .6rem .2rem 0; text-align: left; border-bottom: 1px solid #8882; }
pre { white-space: pre-wrap; font-size: .85rem; }
.reached { color: #1a7f37; } .missed { color: #b3261e; }
"""


def page(title: str, intro: str, sections: list[str]) -> str:
    """A whole document; `intro` is text, `sections` are HTML."""
    head = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{text(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n'
    )
    body = "\n".join(sections)
    return f"{head}<h1>{text(title)}</h1>\n<p>{text(intro)}</p>\n{body}\n</html>\n"


def section(title: str, content: str) -> str:
    """A part of a page under a heading."""
    return f"<section><h2>{text(title)}</h2>\n{content}</section>"


def figure(file: Path, address: str, caption: str) -> str:
    """A picture, film or recording with its caption, by the file's ending."""
    source, said = text(address), text(caption)
    if file.suffix in (".wav", ".flac", ".mp3", ".opus"):
        element = f'<audio src="{source}" controls></audio>'
    elif file.suffix in (".mp4", ".webm"):
        element = f'<video src="{source}" controls loop></video>'
    else:
        element = f'<img src="{source}" alt="{said}">'
    return f"<figure>{element}<figcaption>{said}</figcaption></figure>"


def media(figures: list[str]) -> str:
    """Figures side by side; nothing where there are none."""
    return f'<div class="media">{"".join(figures)}</div>' if figures else ""


def text(words: str) -> str:
    """Words as HTML shows them."""
    return html.escape(words)
