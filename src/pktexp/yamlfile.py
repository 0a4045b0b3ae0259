"""YAML files of the operator's, with errors that name the line; for web/config.py and networks.py.

PyYAML says where each value stands; what a file may hold is for its reader to ask.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from pktexp.errors import PktexpError

LARGEST = 1 << 20  # bytes; a device, given by mistake, would never end
# NUL, which no file's name has, and halves of a character, which no page could be encoded with.
NO_TEXT = re.compile("[\0\ud800-\udfff]")
NULL = "tag:yaml.org,2002:null"
BOOLEAN = "tag:yaml.org,2002:bool"


@dataclass(frozen=True)
class Value:
    """A value of a file, and where it stands."""

    file: Path
    node: yaml.Node

    def error(self, message: str, hint: str = "mend the file") -> PktexpError:
        """To be raised: begins with file and line."""
        return PktexpError(f"{self.file}:{self.node.start_mark.line + 1}: {message}", hint)

    @property
    def empty(self) -> bool:
        """Whether nothing stands there."""
        return self.node.tag == NULL

    def mapping(self, known: Collection[str] = ()) -> dict[str, Value]:
        """By key; PktexpError for another shape, a key twice, or one that is not among `known`."""
        if self.empty:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error("expected keys with values")
        found: dict[str, Value] = {}
        for key, value in ((Value(self.file, k), Value(self.file, v)) for k, v in self.node.value):
            name = key.text()
            if name in found:
                raise key.error(f"'{name}' is there twice")
            if known and name not in known:
                raise key.error(f"unknown key '{name}'", f"known: {', '.join(known)}")
            found[name] = value
        return found

    def sequence(self) -> list[Value]:
        """The values of a list; a single value is a list of one."""
        if isinstance(self.node, yaml.SequenceNode):
            return [Value(self.file, node) for node in self.node.value]
        return [] if self.empty else [self]

    def text(self) -> str:
        """A single value, as it is written."""
        if not isinstance(self.node, yaml.ScalarNode) or self.empty:
            raise self.error("expected a single value")
        if found := NO_TEXT.search(self.node.value):
            raise self.error(f"U+{ord(found[0]):04X} is no character of a text")
        return str(self.node.value)

    def flag(self) -> bool:
        """True or false."""
        if self.node.tag != BOOLEAN:
            raise self.error("expected true or false")
        return self.text().lower() in ("true", "yes", "on")

    def choice(self, known: Collection[str]) -> str:
        """One of these."""
        if self.text() not in known:
            raise self.error(f"'{self.text()}' is not known", f"one of: {', '.join(known)}")
        return self.text()


def read(path: Path) -> Value:
    """The whole file; PktexpError if it can't be read, or is no YAML. An empty one is empty."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise PktexpError(f"{path}: larger than {LARGEST} bytes", "is it the right file?")
        node = yaml.compose(content.decode(), yaml.SafeLoader)
    except RecursionError as error:
        raise PktexpError(f"{path}: nested too deeply", "is it the right file?") from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise PktexpError(message, "does it exist, and may this user read it?") from error
    except UnicodeDecodeError as error:
        raise PktexpError(f"{path}: not UTF-8 at byte {error.start}", "mend the file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "no YAML"
        raise PktexpError(f"{where}: {problem}", "mend the file") from error
    except (ValueError, OverflowError) as error:  # of numbers in escapes and directives
        raise PktexpError(f"{path}: no YAML: {error}", "mend the file") from error
    start = yaml.Mark(str(path), 0, 0, 0, None, 0)
    return Value(path, node if node else yaml.ScalarNode(NULL, "", start, start))
