"""The templates of HTML pages, which all have the one style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

STYLE = Path(__file__).parent / "page" / "page.css"


def template(path: Path, **known: Any) -> Template:  # Any: what a template shows
    """The template in a file, which escapes what it shows, and knows the style and what is `known`."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment.get_template(path.name, globals={"style": raw(STYLE.read_text(encoding="utf-8")), **known})


def raw(text: str) -> Markup:
    """Text that is HTML, SVG or CSS already, and shown as it is."""
    return Markup(text)


def unbroken(text: str) -> str:
    """`log t = 4191` stays in one line."""
    return text.replace("log t = ", "log\N{NO-BREAK SPACE}t = ").replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
