"""Messages in the words of a call: they name its arguments, not what was made of these."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.config import shown

# Arrays of the file that data in memory are written into -> what a call names them.
_ARRAYS = {
    f"{kind}_{part}": f"{argument}[{place}]"
    for part, argument in (("val", "validation_data"), ("test", "test_data"))
    for place, kind in enumerate(("x", "y", "w"))
}
# A message about data is about what it names first.
_DATA = re.compile(r"\b(?:validation_data|test_data)\[\d\]|\b[xy]\b")
_FILE = "`dataset.path`"

# What is typed after a command, as a keyword. Only messages that advise hold it.
_TYPED = re.compile(r"(?<![\w`'\"./])(dataset\.\w+)=([a-z_]+)")


@dataclass(frozen=True)
class Wording:
    """Says in the words of a call what messages say in those of the command line.

    Attributes:
      arguments: The arguments that settings were given by, by the names of those.
      path: The file that data in memory were written into; empty where there are none.
      target: What the file calls targets that were given apart from the inputs; else empty.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    target: str = ""

    def __call__(self, text: str) -> str:
        """Returns a message as the caller of a function should read it."""
        if self.path:
            text = self._about_data(text)
        for setting, argument in self.arguments.items():
            text = re.sub(rf"`{re.escape(setting)}`(?= (?:must|is) )", f"`{argument}`", text)
        text = text.replace("`build` must be custom", "`build` must be a function or a built model")
        text = _TYPED.sub(r'**{"\1": "\2"}', text)
        return text.replace("rerun=true", "rerun=True").replace("same command", "same call")

    def _about_data(self, text: str) -> str:
        """Returns a message that names the arguments whose values a file holds, not the file."""
        file = re.escape(shown(self.path, len(self.path) + 2))
        text = re.sub(rf"{file} has its own (validation|test) part", r"`\1_data` is given", text)
        text = re.sub(rf"(?:, in| in| of) {file}", "", text)
        path = f"path={re.escape(self.path)}"
        text = re.sub(rf"\({path}\)|, {path}|(?<=\(){path}, ", "", text)
        text = re.sub(rf"{file}|(?<![\w/]){re.escape(Path(self.path).name)}\b", "`x`", text)
        if self.target:
            target = re.escape(shown(self.target))
            text = re.sub(rf"\bTarget {target}:", "`y`:", text)
            text = re.sub(target, "y", text)
        if _FILE not in text:
            return text
        text = re.sub(rf"\b({'|'.join(_ARRAYS)})\b", lambda found: _ARRAYS[found[1]], text)
        text = re.sub(r"\b(validation|test) labels\b", r"labels of \1_data[1]", text)
        named = _DATA.search(text)
        about = named.group() if named else "x"
        text = re.sub(rf" (?:in|of) {re.escape(about)}(?= as in | that |\. )", "", text, count=1)
        return text.replace(_FILE, f"`{about}`")
