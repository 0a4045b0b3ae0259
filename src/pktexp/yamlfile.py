"""Read YAML files with errors that name file and line.

Callers ask each Value for the type that they expect; a mismatch is an error at its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pktexp.errors import PktexpError

if TYPE_CHECKING:  # `serve` without such a file starts without it
    import yaml

LARGEST = 1 << 20  # bytes; a device given by mistake has no end
# NUL, which is invalid in file names, and lone surrogates, which cannot be encoded.
NOT_TEXT = re.compile("[\0\ud800-\udfff]")
NULL = "tag:yaml.org,2002:null"
BOOLEAN = "tag:yaml.org,2002:bool"


@dataclass(frozen=True)
class Value:
    """A value with its file and position."""

    file: Path
    node: yaml.Node

    def error(self, message: str, hint: str = "correct the file") -> PktexpError:
        """Return an error whose message begins with file and line."""
        return PktexpError(f"{self.file}:{self.node.start_mark.line + 1}: {message}", hint)

    @property
    def empty(self) -> bool:
        """Whether the value is null or missing."""
        return self.node.tag == NULL

    @property
    def _kind(self) -> str:
        """PyYAML's name of the node's class: "mapping", "sequence" or "scalar"."""
        return str(vars(type(self.node))["id"])

    def mapping(self, known: Collection[str] = ()) -> dict[str, Value]:
        """Return the values by key.

        Raises PktexpError if this is no mapping, or a key is repeated or not in `known`.
        """
        if self.empty:
            return {}
        if self._kind != "mapping":
            raise self.error("expected keys with values")
        found: dict[str, Value] = {}
        for key, value in ((Value(self.file, k), Value(self.file, v)) for k, v in self.node.value):
            name = key.text()
            if name in found:
                raise key.error(f"duplicate key '{name}'")
            if known and name not in known:
                raise key.error(f"unknown key '{name}'", f"known: {', '.join(known)}")
            found[name] = value
        return found

    def sequence(self) -> list[Value]:
        """Return the values of a list; a single value is a list of one."""
        if self._kind == "sequence":
            return [Value(self.file, node) for node in self.node.value]
        return [] if self.empty else [self]

    def text(self) -> str:
        """Return a single value as it is written. Raises PktexpError for another type."""
        if self._kind != "scalar" or self.empty:
            raise self.error("expected a single value")
        if found := NOT_TEXT.search(self.node.value):
            raise self.error(f"the character U+{ord(found[0]):04X} is not allowed")
        return str(self.node.value)

    def flag(self) -> bool:
        """Return a boolean. Raises PktexpError for another type."""
        if self.node.tag != BOOLEAN:
            raise self.error("expected true or false")
        return self.text().lower() in ("true", "yes", "on")

    def choice(self, known: Collection[str]) -> str:
        """Return the value if it is one of `known`. Raises PktexpError if not."""
        if self.text() not in known:
            raise self.error(f"'{self.text()}' is not known", f"one of: {', '.join(known)}")
        return self.text()


def read(path: Path) -> Value:
    """Return the top value of a file; that of an empty file is empty.

    Raises PktexpError if the file cannot be read, is too large, or is not valid YAML.
    """
    import yaml  # noqa: PLC0415  # as above

    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise PktexpError(f"{path}: larger than {LARGEST} bytes", "check the path")
        node = yaml.compose(content.decode(), yaml.SafeLoader)
    except RecursionError as error:
        raise PktexpError(f"{path}: nested too deeply", "check the path") from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise PktexpError(message, "check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise PktexpError(f"{path}: not UTF-8 at byte {error.start}", "correct the file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise PktexpError(f"{where}: {problem}", "correct the file") from error
    except (ValueError, OverflowError) as error:  # numbers in escapes and directives
        raise PktexpError(f"{path}: not valid YAML: {error}", "correct the file") from error
    start = yaml.Mark(str(path), 0, 0, 0, None, 0)
    return Value(path, node if node else yaml.ScalarNode(NULL, "", start, start))
