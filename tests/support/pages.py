"""The commands of a page, as a reader would give them: blocks that are indented by four spaces, and those in Python."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BEFOREHAND = "<!-- run beforehand -->"
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"(?:^    [^\n]*\n|^\n(?=    ))+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """`beforehand`: a test has done it already, such as installing."""

    language: Literal["shell", "python"]
    code: str
    beforehand: bool = False


def blocks(page: Path) -> list[Block]:
    """All of a page's, in order."""
    text = page.read_text()
    found = [(each.start(), Block("python", each[1])) for each in _PYTHON.finditer(text)]
    outside = _PYTHON.sub(lambda each: "\n" * 0 + "x" * len(each[0]), text)
    for each in _BLOCK.finditer(outside):
        code = "".join(line[4:] if line.startswith("    ") else line for line in each[0].splitlines(keepends=True))
        if code.strip():
            before = outside[: each.start()].rstrip().endswith(BEFOREHAND)
            found.append((each.start(), Block("shell", code.strip() + "\n", before)))
    return [block for _, block in sorted(found, key=lambda each: each[0])]
