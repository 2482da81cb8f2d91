"""Commands of the handbook, which tests run as they are written there."""

import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "src" / "kubernetes.md"


class Section:
    """The commands of one section."""

    def __init__(self, title):
        text = FILE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
        blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.S)
        self.specification = next((block for kind, block in blocks if kind == "yaml"), None)
        self.first = next((block.splitlines() for kind, block in blocks if kind == "sh"), [])
        lines = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
        inline = re.findall(r"`((?:kubectl|helm) [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S))
        self.untried = [*lines, *(line for line in inline if line not in lines)]

    def command(self, beginning, **replaced):
        """A command, with what it leaves open."""
        line = next(line for line in self.untried if line.startswith(beginning))
        self.untried.remove(line)
        for old, new in replaced.items():
            assert old in line, (old, line)
            line = line.replace(old, str(new))
        return line
