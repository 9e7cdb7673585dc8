"""One logical line on as many lines as it needs: where blanks stand, and where a long line is cut.

Takes the tokens of a logical line (an item's head, a statement) with their comments; gives rows. Knows no tree: brackets,
operators and words are enough, so the same code lays out lem and the Python spelling of it. `format.py` decides what a
logical line is and what stands between two of them.

A line that does not fit is cut like this, the first way that helps:

- BRACKET: what stands between two brackets moves to lines of its own, on one line if that fits, else one part each.
- OPERATOR: inside brackets a part is cut before its weakest operator.
- ADDED: a right side without brackets, or with several operators outside them, gets a pair of its own.

A comma after the last part of a bracket says "one part each", a comment between brackets forces it. Where parts or
operators do not fit on one line and the source had some of the cuts, those are enough if they make all fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import pairwise

from lem.syntax.lexer import CLOSER, FSTRING, NAME, NUMBER, STRING
from lem.syntax.tables import tables
from lem_runtime.abi.records import dataclass

WIDTH = 100
INDENT = 4

_KIND = tables().literals
_ASSIGNS = frozenset(op for op in _KIND if op.endswith("=") and op not in ("==", "!=", "<=", ">="))
_HEADS = frozenset(_KIND[word] for word in ("kernel", "task", "fn"))
_VALUES = frozenset((NAME, NUMBER, STRING, FSTRING))
_VALUE_ENDS = frozenset((")", "]", "}", "True", "False", "None"))
_SIGNS = frozenset("+-~")
# Operators by how they bind, weakest first: a part is cut before the weakest it has.
_STRENGTH = {
    op: strength
    for strength, ops in enumerate(
        ("if else", "or", "and", "not == != < <= > >= in is", "|", "^", "&", "<< >>", "+ -", "* / // % @"), start=1
    )
    for op in ops.split()
}
_STRING_AFTER_STRING = 20


@dataclass(slots=True)
class Comment:
    text: str
    column: int  # where it stood, from 0


@dataclass(slots=True, eq=False)
class Leaf:
    """A token. `above`: comments on lines of their own before it; `after`: those behind it on its line."""

    text: str
    kind: int
    above: list[Comment] = field(default_factory=list)
    after: list[Comment] = field(default_factory=list)
    starts_line: bool = False  # in the source
    blank: bool = False  # whether a blank stands before it, when something does
    is_sign: bool = False  # `-x`, not `a - x`

    @property
    def ends_value(self) -> bool:
        return self.kind in _VALUES or self.text in _VALUE_ENDS


@dataclass(slots=True, eq=False)
class Group:
    """A pair of brackets and what stands between them.

    `last`: comments on lines of their own before the closing bracket. `one_each`: never on one line.
    """

    opener: Leaf
    items: list[Node]
    closer: Leaf
    role: str  # "call" "index" "generics" "choices" "names", or "atom": the brackets belong to nothing before them
    last: list[Comment] = field(default_factory=list)
    one_each: bool = False


Node = Leaf | Group


@dataclass(slots=True)
class Row:
    """A line of the result; `comment` stands behind its text. `blanks`: empty lines before it."""

    indent: int
    text: str
    comment: Comment | None = None
    blanks: int = 0


# ---------------------------------------------------------------- tokens to nodes
def grouped(leaves: Sequence[Leaf]) -> list[Node]:
    """The tokens of a logical line, brackets nested, blanks decided."""
    is_head = _is_head(leaves[0])
    stack: list[list[Node]] = [[]]
    openers: list[tuple[Leaf, str]] = []
    before: Leaf | None = None
    for leaf in leaves:
        role = openers[-1][1] if openers else "line"
        leaf.is_sign = leaf.text in _SIGNS and (before is None or not before.ends_value)
        leaf.blank = before is not None and _blank_between(before, leaf, role, stack[-1])
        if leaf.text in CLOSER:
            names_function = is_head and len(stack) == 1 and len(stack[0]) == 2
            openers.append((leaf, _role(before, leaf, names_function)))
            stack.append([])
        elif openers and leaf.text == CLOSER[openers[-1][0].text]:
            items = stack.pop()
            opener, role = openers.pop()
            stack[-1].append(Group(opener, items, leaf, role, leaf.above))
            leaf.above = []
        else:
            stack[-1].append(leaf)
        if before is not None:
            _hand_comments(before, leaf)
        before = leaf
    _tighten_powers(stack[0])
    return stack[0]


def _hand_comments(before: Leaf, leaf: Leaf) -> None:
    """What is said behind a comma or an operator is about the part before it; what is said above a part, about its line."""
    if leaf.text == ",":
        before.after += leaf.above + leaf.after
        leaf.above, leaf.after = [], []
    elif leaf.text in _STRENGTH and before.ends_value:
        before.after += leaf.after
        leaf.after = []
    elif before.text in _STRENGTH and not before.is_sign:
        before.above += leaf.above
        leaf.above = []


def _is_head(leaf: Node) -> bool:
    return isinstance(leaf, Leaf) and (leaf.kind in _HEADS or leaf.text == "def")


def _role(before: Leaf | None, opener: Leaf, names_function: bool) -> str:
    if before is not None and before.text == "import":
        return "names"
    if opener.text == "{":
        return "choices"
    if before is None or opener.blank or not before.ends_value:
        return "atom"
    if opener.text == "[":
        return "generics" if names_function else "index"
    return "call"


def _blank_between(before: Leaf, leaf: Leaf, role: str, siblings: Sequence[Node]) -> bool:
    """Whether a blank stands between two tokens. `role` is that of the brackets around them."""
    left, right = before.text, leaf.text
    if left in CLOSER or right in (")", "]", "}", ",") or before.is_sign:
        return False
    if right == ":":
        return left == ","  # `x[i, :]`
    if right == "." or left == ".":
        return before.kind == NUMBER  # `3 .x`: the point would belong to the number
    if right in ("(", "[") and (before.ends_value or before.kind == _KIND["reduce"]):
        return False
    if left == ":":
        return role != "index"
    if "=" in (left, right):
        return role == "line" or _is_annotated(siblings)
    return left != "@" or len(siblings) > 1 or role != "line"  # `@on(cpu)`, but `a @ b`


def _is_annotated(siblings: Sequence[Node]) -> bool:
    """Whether the part that is being read has a type: ``x: f32 = 0``, but ``f(x=0)``."""
    for node in reversed(siblings):
        if isinstance(node, Leaf) and node.text in (":", ","):
            return node.text == ":"
    return False


def _tighten_powers(nodes: list[Node]) -> None:
    """``x**2`` of names and numbers, but ``x[i] ** 2``."""
    for node in nodes:
        if isinstance(node, Group):
            _tighten_powers(node.items)
    for n, node in enumerate(nodes):
        if isinstance(node, Leaf) and node.text == "**":
            right = n + 2 if nodes[n + 1 : n + 2] and _is_sign(nodes[n + 1]) else n + 1
            if _is_plain(nodes, n - 1) and _is_plain(nodes, right) and not _goes_on(nodes, right + 1):
                node.blank = False
                _first_leaf(nodes[n + 1]).blank = False


def _is_sign(node: Node) -> bool:
    return isinstance(node, Leaf) and node.is_sign


def _is_plain(nodes: list[Node], n: int) -> bool:
    if not 0 <= n < len(nodes):
        return False
    node = nodes[n]
    return isinstance(node, Leaf) and node.kind in (NAME, NUMBER)


def _goes_on(nodes: list[Node], n: int) -> bool:
    """Whether a call, a subscript or an attribute follows."""
    return n < len(nodes) and not _first_leaf(nodes[n]).blank and _first_leaf(nodes[n]).text in ("(", "[", ".")


# ---------------------------------------------------------------- questions about nodes
def _first_leaf(node: Node) -> Leaf:
    return node if isinstance(node, Leaf) else node.opener


def _last_leaf(node: Node) -> Leaf:
    return node if isinstance(node, Leaf) else node.closer


def _leaves(nodes: Sequence[Node]) -> Iterator[Leaf]:
    """All tokens, without the commas that only stand before a closing bracket."""
    for node in nodes:
        if isinstance(node, Leaf):
            yield node
        else:
            yield node.opener
            yield from _leaves(_parts(node))
            yield node.closer


def _text(leaves: Sequence[Leaf]) -> str:
    return "".join([" " + leaf.text if leaf.blank and n else leaf.text for n, leaf in enumerate(leaves)])


def _is_leaf(node: Node, text: str) -> bool:
    return isinstance(node, Leaf) and node.text == text


def _n_commas(group: Group) -> int:
    return sum(_is_leaf(node, ",") for node in group.items)


def _needs_comma(group: Group) -> bool:
    """``(x,)`` is a tuple because of its comma."""
    is_round = group.role == "atom" and group.opener.text == "("
    return is_round and _n_commas(group) == 1 and _is_leaf(group.items[-1], ",")


def _parts(group: Group) -> list[Node]:
    """What stands between the brackets, without a last comma that means nothing."""
    items = group.items
    return items[:-1] if items and _is_leaf(items[-1], ",") and not _needs_comma(group) else items


def _asks_for_lines(group: Group) -> bool:
    """A last comma that somebody wrote to have one part on each line."""
    if not group.items or not _is_leaf(group.items[-1], ",") or _needs_comma(group):
        return False
    return group.role != "index" or _n_commas(group) > 1


def _must_break(group: Group) -> bool:
    """Whether the group cannot stand on one line, however short it is."""
    if group.one_each or _asks_for_lines(group) or group.opener.after or group.last:
        return True
    return _has_comment(group.items) or any(isinstance(n, Group) and _must_break(n) for n in group.items)


def _has_comment(nodes: Sequence[Node]) -> bool:
    return any(leaf.above or leaf.after for leaf in _leaves(nodes))


def _is_number(nodes: Sequence[Node]) -> bool:
    """A literal, perhaps with a sign: many of them share a line."""
    *signs, last = nodes
    is_number = isinstance(last, Leaf) and last.kind == NUMBER and all(map(_is_sign, signs))
    return is_number and not _has_comment(nodes)


def _delimiters(nodes: Sequence[Node]) -> list[int]:
    """Where a part is cut: the places of its weakest operators (a cut is made before each), or behind its commas."""
    is_comprehension = any(_is_leaf(node, "for") for node in nodes)
    if not is_comprehension and any(_is_leaf(node, ",") for node in nodes):
        return [n + 1 for n, node in enumerate(nodes) if _is_leaf(node, ",") and n + 1 < len(nodes)]
    found: dict[int, list[int]] = {}
    seen_for = False
    for n, node in enumerate(nodes):
        if not isinstance(node, Leaf):
            continue
        seen_for |= node.text == "for"
        strength = _strength(nodes, n, node, seen_for)
        if strength is not None and n:
            found.setdefault(strength, []).append(n)
    return found[min(found)] if found else []


def _was_cut(nodes: Sequence[Node], n: int) -> bool:
    """Whether the source had a line end at the place of a cut: before the operator at `n`, or behind it."""
    after = nodes[n + 1 : n + 2] if not _is_leaf(nodes[n - 1], ",") else []
    return any(_first_leaf(node).starts_line for node in [nodes[n], *after])


def _strength(nodes: Sequence[Node], n: int, leaf: Leaf, seen_for: bool) -> int | None:
    if leaf.text == "for" or leaf.text == "if" and seen_for:
        return 0
    if leaf.kind in (STRING, FSTRING):
        return _STRING_AFTER_STRING if n and _last_leaf(nodes[n - 1]).kind in (STRING, FSTRING) else None
    if leaf.is_sign or leaf.text == "in" and seen_for:
        return None
    if leaf.text == "not" and not (n + 1 < len(nodes) and _is_leaf(nodes[n + 1], "in")):
        return None
    if leaf.text == "in" and n and _is_leaf(nodes[n - 1], "not"):
        return None
    return _STRENGTH.get(leaf.text)


# ---------------------------------------------------------------- nodes to rows
def on_one_line(nodes: Sequence[Node]) -> str:
    """The text of nodes, however long, without their comments."""
    return _text(list(_leaves(nodes)))


def wrapped(leaves: Sequence[Leaf], indent: int, *, in_test: bool = False) -> list[Row]:
    """The rows of a logical line. `in_test`: `check` may be written as a call."""
    end, leaves[-1].after = leaves[-1].after, []
    made = _Wrapper(in_test)
    made.statement(grouped(leaves), indent)
    if end:
        last = made.rows[-1]
        if last.comment is not None:
            made.rows.insert(-1, Row(indent, last.comment.text))
        last.comment = end[0]
    return made.rows


@dataclass(slots=True)
class _Wrapper:
    in_test: bool
    rows: list[Row] = field(default_factory=list)

    def statement(self, nodes: list[Node], indent: int) -> None:
        """A line that stands in no brackets."""
        value = _value(nodes, self.in_test)
        if value is None:
            self._line(nodes, indent)
            return
        # Brackets that only hold a right side together come and go with its length.
        head, added, tail = value
        bare = [*head, *added.items, *tail]
        if self._fits(bare, indent) or not self._wants_brackets(added, bare, indent):
            self._line(bare, indent)
        else:
            self._emit([*head, added, *tail], {id(added)}, indent)

    def _line(self, nodes: list[Node], indent: int) -> None:
        if self._fits(nodes, indent):
            self._row(nodes, indent)
        else:
            self._broken(nodes, indent)

    def _wants_brackets(self, added: Group, bare: list[Node], indent: int) -> bool:
        """ADDED, and not BRACKET, for a line that does not fit."""
        if any(isinstance(node, Group) and _must_break(node) for node in bare):
            return False
        if added.one_each:
            return True
        single = self._single_break(bare, set(), indent)
        # A subscript that is torn apart reads worse than a line of its own.
        breaks_well = single is not None and single.role != "index" and any(single is node for node in added.items)
        cuts = _delimiters(added.items)
        if not cuts:
            return not breaks_well and self._fits(added.items, indent + INDENT)
        is_at_end = single is added.items[0] or single is added.items[-1]
        return not (len(cuts) == 1 and breaks_well and is_at_end)

    # ------------------------------------------------------------ parts inside brackets
    def part(self, nodes: list[Node], indent: int, suffix: str = "") -> None:
        """A part on lines of its own; `suffix` follows it."""
        if self._fits(nodes, indent, suffix):
            self._row(nodes, indent, suffix)
            return
        cuts = _delimiters(nodes)
        if not cuts:
            self._broken(nodes, indent, suffix)
        elif not self._as_cut_by_hand(nodes, cuts, indent, suffix):
            for start, end in pairwise([0, *cuts, len(nodes)]):
                self.part(nodes[start:end], indent, suffix if end == len(nodes) else "")

    def _as_cut_by_hand(self, nodes: list[Node], cuts: list[int], indent: int, suffix: str) -> bool:
        """Keep some of the possible `cuts`, as in the source, where that is enough: the rows of a stencil mean something."""
        kept = [n for n in cuts if _was_cut(nodes, n)]
        rows = [nodes[start:end] for start, end in pairwise([0, *kept, len(nodes)])]
        fits = [self._fits(row, indent, "" if row is not rows[-1] else suffix) for row in rows]
        if not all(fits):
            return False
        for row in rows:
            self._row(row, indent, "" if row is not rows[-1] else suffix)
        return True

    def _body(self, group: Group, indent: int) -> None:
        """What stands between brackets that are broken."""
        parts = _parts(group)
        is_list = any(_is_leaf(node, ",") for node in parts) and not any(_is_leaf(node, "for") for node in parts)
        is_free = not (group.one_each or _asks_for_lines(group))
        if not parts:
            pass
        elif is_free and self._fits(parts, indent):
            self._row(parts, indent)
        elif is_free and not is_list:
            self.part(parts, indent)
        elif not (is_free and self._has_rows(parts) and self._as_cut_by_hand(parts, _delimiters(parts), indent, "")):
            self._list(parts, indent)
        self.rows += [Row(indent, comment.text) for comment in group.last]

    def _has_rows(self, parts: list[Node]) -> bool:
        """Whether some part shared its line with another one in the source."""
        return not all(_was_cut(parts, n) for n in _delimiters(parts))

    def _list(self, parts: list[Node], indent: int) -> None:
        """One part on each line, each with its comma; numbers fill lines."""
        items: list[list[Node]] = [[]]
        for node in parts:
            if _is_leaf(node, ","):
                items.append([])
            else:
                items[-1].append(node)
        items = [item for item in items if item]
        if all(map(_is_number, items)):
            self._fill([_text(list(_leaves(item))) + "," for item in items], indent)
            return
        for item in items:
            self.part(item, indent, ",")

    def _fill(self, words: list[str], indent: int) -> None:
        line = ""
        for word in words:
            if line and indent + len(line) + 1 + len(word) > WIDTH:
                self.rows.append(Row(indent, line))
                line = ""
            line = f"{line} {word}" if line else word
        self.rows.append(Row(indent, line))

    # ------------------------------------------------------------ breaking brackets
    def _broken(self, nodes: list[Node], indent: int, suffix: str = "") -> None:
        """BRACKET: break what must be broken, and then as few as make the rest fit."""
        chosen = {id(node) for node in nodes if isinstance(node, Group) and _must_break(node)}
        if not self._rows_fit(nodes, chosen, indent, suffix):
            single = self._single_break(nodes, chosen, indent, suffix)
            chosen |= self._several(nodes, indent, suffix) if single is None else {id(single)}
        self._emit(nodes, chosen, indent, suffix)

    def _single_break(self, nodes: list[Node], chosen: set[int], indent: int, suffix: str = "") -> Group | None:
        """The one group that must be broken, besides the `chosen` ones, for all the rest to fit."""
        fits = (c for c in _candidates(nodes) if self._rows_fit(nodes, {*chosen, id(c)}, indent, suffix))
        return next(fits, None)

    def _several(self, nodes: list[Node], indent: int, suffix: str) -> set[int]:
        """As many groups as make the rest fit, if they can; else the one that helps most."""
        several: set[int] = set()
        candidates = _candidates(nodes)
        for candidate in candidates:
            several.add(id(candidate))
            if self._rows_fit(nodes, several, indent, suffix):
                return several
        return {id(max(candidates, key=lambda c: len(_text(list(_leaves(c.items))))))} if candidates else set()

    def _rows_fit(self, nodes: list[Node], chosen: set[int], indent: int, suffix: str = "") -> bool:
        """Whether the lines around the bodies of the `chosen` groups fit."""
        line: list[Leaf] = []
        for node in nodes:
            if id(node) in chosen and isinstance(node, Group):
                _, openers, closers = _hugged(node)
                if _too_long(_text([*line, *openers]), indent):
                    return False
                line = closers
            else:
                line += _leaves([node])
                if len(line) > WIDTH:
                    return False
        return not _too_long(_text(line) + suffix, indent)

    def _emit(self, nodes: list[Node], chosen: set[int], indent: int, suffix: str = "") -> None:
        """Rows of `nodes` with the `chosen` groups broken."""
        line: list[Leaf] = []
        for node in nodes:
            if id(node) not in chosen or not isinstance(node, Group):
                line += _leaves([node])
                continue
            inner, openers, closers = _hugged(node)
            self._leaves_row([*line, *openers], indent)
            self._body(inner, indent + INDENT)
            line = closers
        self._leaves_row(line, indent, suffix)

    # ------------------------------------------------------------ rows
    def _fits(self, nodes: Sequence[Node], indent: int, suffix: str = "") -> bool:
        """Whether a part can be one row: short enough, and its comments stand at its ends."""
        if any(isinstance(node, Group) and _must_break(node) for node in nodes):
            return False
        leaves = list(_leaves(nodes))
        if any(leaf.above for leaf in leaves[1:]) or any(leaf.after for leaf in leaves[:-1]):
            return False
        return not _too_long(_text(leaves) + suffix, indent)

    def _row(self, nodes: Sequence[Node], indent: int, suffix: str = "") -> None:
        self._leaves_row(list(_leaves(nodes)), indent, suffix)

    def _leaves_row(self, leaves: list[Leaf], indent: int, suffix: str = "") -> None:
        """One row; it holds one comment, so others inside it move above."""
        above = [c for leaf in leaves for c in leaf.above]
        after = [c for leaf in leaves for c in leaf.after]
        self.rows += [Row(indent, c.text) for c in [*above, *after[:-1]]]
        self.rows.append(Row(indent, _text(leaves) + suffix, after[-1] if after else None))


def _hugged(group: Group) -> tuple[Group, list[Leaf], list[Leaf]]:
    """A group that holds nothing but a group shares its lines with it: ``f32([`` ... ``])``."""
    openers, closers = [group.opener], [group.closer]
    parts = _parts(group)
    while len(parts) == 1 and isinstance(parts[0], Group) and not (group.opener.after or group.last):
        child = parts[0]
        if child.opener.above or child.closer.after or not child.items:
            break
        group = child
        openers.append(group.opener)
        closers.insert(0, group.closer)
        parts = _parts(group)
    return group, openers, closers


def _candidates(nodes: Sequence[Node]) -> list[Group]:
    """Groups that may be broken, the best ones first: the parameters of a head, else the last one that holds something."""
    groups = [node for node in nodes if isinstance(node, Group) and node.items]
    if _is_head(nodes[0]):
        return sorted(groups, key=lambda group: group.role != "call")
    return sorted(reversed(groups), key=_is_small)


def _is_small(group: Group) -> bool:
    return group.role == "index" and len(_text(list(_leaves(group.items)))) < 16


def _too_long(text: str, indent: int) -> bool:
    """Of a text with line ends (a string may have some) the first and the last line count."""
    first, _, rest = text.partition("\n")
    return indent + len(first) > WIDTH or len(rest.rpartition("\n")[2]) > WIDTH


# ---------------------------------------------------------------- right sides
def _value(nodes: list[Node], in_test: bool) -> tuple[list[Node], Group, list[Node]] | None:
    """A line as head, right side, tail: where brackets can be added or left out around the right side.

    The right side comes in the brackets that it may get; those that were written around all of it are taken off.
    """
    start, end, is_import = _checked_range(nodes, in_test) if _is_check(nodes[0]) else _value_range(nodes)
    if end <= start:
        return None
    inner = nodes[start:end]
    while not _is_check(nodes[0]) and (held := _held_together(inner, is_import)) is not None:
        inner = held
    _first_leaf(inner[0]).blank = True
    is_call = _is_check(nodes[0]) and end == len(nodes)
    opener, closer = Leaf("(", _KIND["("], blank=not is_call), Leaf(")", _KIND[")"])
    return nodes[:start], Group(opener, inner, closer, "names" if is_import else "atom", one_each=is_import), nodes[end:]


def _value_range(nodes: list[Node]) -> tuple[int, int, bool]:
    """From where to where the right side goes, and whether it is a list of imported names."""
    n = len(nodes)
    kind = nodes[0].kind if isinstance(nodes[0], Leaf) else NAME
    if kind in (_KIND["if"], _KIND["elif"], _KIND["while"]):
        return 1, n - 1, False
    if kind == _KIND["return"]:
        return 1, n, False
    if kind == _KIND["assert"]:
        return next((i + 1 for i, node in enumerate(nodes) if _is_leaf(node, ",")), 1), n, False
    if kind == _KIND["from"]:
        return next(i for i, node in enumerate(nodes) if _is_leaf(node, "import")) + 1, n, True
    at = next((i for i, node in enumerate(nodes) if isinstance(node, Leaf) and node.text in _ASSIGNS), n)
    if at + 1 < n and _first_leaf(nodes[at + 1]).kind != _KIND["spawn"]:
        return at + 1, n, False
    return 0, 0, False


def _is_check(node: Node) -> bool:
    return isinstance(node, Leaf) and node.kind == _KIND["check"]


def _checked_range(nodes: list[Node], in_test: bool) -> tuple[int, int, bool]:
    """``check cond`` can become ``check(cond)``, the call that means the same in a test (LANGUAGE 22)."""
    kinds = [node.kind if isinstance(node, Leaf) else NAME for node in nodes]
    if _KIND["within"] in kinds:
        return 1, kinds.index(_KIND["within"]), False
    return 1, len(nodes) if in_test and _KIND["fails"] not in kinds else 0, False


def _held_together(nodes: list[Node], is_import: bool) -> list[Node] | None:
    """What stands in brackets that hold all of `nodes` together and mean nothing else."""
    group = nodes[0]
    if len(nodes) != 1 or not isinstance(group, Group) or group.opener.text != "(" or not group.items:
        return None
    if _n_commas(group) and not is_import or _must_break(group) or group.opener.above or group.closer.after:
        return None
    return group.items
