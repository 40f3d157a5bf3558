"""The tree of a network's blocks and cut vertices, and how many ends a failure parts.

References
----------
J. Hopcroft, R. Tarjan, "Algorithm 447: efficient algorithms for graph manipulation",
Communications of the ACM 16 (1973); F. Harary, "Graph Theory" (1969), ch. 4, for the tree.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from homelab_lib.models.carried import Node

_MAX_PIECES = 10
Near = Mapping[Any, Collection[Any]]


class Block(NamedTuple):
    """A part of a network that no single node parts: a node of the tree."""

    number: int


class BlockTree:
    """Blocks and nodes of each network as a tree, with the ends that hang on it.

    An end with one door hangs on that node. One with several hangs where their ways up the tree
    meet; the nodes below, that see it on several sides, keep a note.
    """

    def __init__(self, core: Near) -> None:
        import networkx

        ways = networkx.Graph()
        ways.add_nodes_from(core)
        ways.add_edges_from((a, b) for a, near in core.items() for b in near)
        members: dict[Block, tuple[Node, ...]] = {}
        blocks: dict[Node, list[Block]] = {node: [] for node in core}
        for number, nodes in enumerate(networkx.biconnected_components(ways)):
            members[Block(number)] = tuple(nodes)  # which the search for garbage passes over
            for node in nodes:
                blocks[node].append(Block(number))
        self.members, self.blocks = members, blocks
        self.root: dict[Node, Node] = {}
        self.parent: dict[Hashable, Hashable] = {}
        self.depth: dict[Hashable, int] = {}
        for start in core:
            if start not in self.depth:
                self._grow(start)
        self.weight: Counter[Node] = Counter()
        self.stranded: Counter[Node] = Counter()  # ends with no other door than this node
        self.across: Counter[Node] = Counter()  # ends with doors on both sides of a block's top
        self.notes: dict[Node, list[frozenset[Hashable]]] = defaultdict(list)
        self.met: Counter[Node] = Counter()  # notes of ends that hang on the node itself

    def _grow(self, start: Node) -> None:
        self.parent[start], self.depth[start] = None, 0
        waiting: list[Hashable] = [start]
        for here in waiting:  # it grows meanwhile
            if not isinstance(here, Block):
                self.root[here] = start
            for each in self.children(here):
                self.parent[each], self.depth[each] = here, self.depth[here] + 1
                waiting.append(each)

    def children(self, here: Hashable) -> Iterator[Hashable]:
        """The nodes of a block, or the blocks of a node, that are under it."""
        near = self.members[here] if isinstance(here, Block) else self.blocks[here]
        above = self.parent[here]
        return (each for each in near if each != above)

    def hang(self, doors: Sequence[Node]) -> None:
        """An end with its doors, all on one network."""
        if len(doors) == 1:
            self.stranded[doors[0]] += 1
            self.weight[doors[0]] += 1
            return
        front: dict[Hashable, set[Hashable]] = {door: set() for door in doors}
        while len(front) > 1:
            here = max(front, key=self.depth.__getitem__)
            came = front.pop(here)
            up = self.parent[here]
            if isinstance(here, Block):
                self.across[here] += 1
            elif came:
                self.notes[here].append(frozenset({*came, up}))
            front.setdefault(up, set()).add(here)
        top, came = front.popitem()
        self.weight[top] += 1
        if not isinstance(top, Block):
            self.notes[top].append(frozenset(came))
            self.met[top] += 1

    def below(self) -> dict[Hashable, int]:
        """How many ends hang on each node or block and all that is under it."""
        total = {each: self.weight[each] for each in self.depth}
        for each in reversed(self.depth):  # parents came before their children
            if self.parent[each] is not None:
                total[self.parent[each]] += total[each]
        return total

    def parted_without(self, node: Node, below: Mapping[Hashable, int]) -> int:
        """Pairs of other ends that a node's failure parts."""
        notes = self.notes.get(node, [])
        sides = {child: below[child] for child in self.children(node)}
        if self.parent[node] is not None:
            above = below[self.root[node]] - below[node]
            sides[self.parent[node]] = above - (len(notes) - self.met[node])
        family = Counter({frozenset({side}): count for side, count in sides.items() if count})
        family[frozenset()] += self.stranded[node]
        family.update(notes)
        return _disjoint_pairs(family)

    def bridges(self) -> list[tuple[Block, tuple[Any, Any]]]:
        """Blocks that are one edge: its end towards the root, and the other."""
        return [
            (block, (self.parent[block], next(self.children(block))))
            for block, nodes in self.members.items()
            if len(nodes) == 2
        ]


def _disjoint_pairs(family: Counter[frozenset[Hashable]]) -> int:
    """How many pairs of sets have nothing in common; counts say how often each set is there.

    By inclusion and exclusion over what they share; sets of many elements one against one.
    """
    family = Counter({each: count for each, count in family.items() if count})
    alone = family[frozenset()]
    if len(family) < 2:
        return alone * (alone - 1) // 2
    if max(map(len, family)) > _MAX_PIECES:
        sets = list(family.items())
        apart = sum(m * n for (a, m), (b, n) in combinations(sets, 2) if a.isdisjoint(b))
        return apart + alone * (alone - 1) // 2
    having: Counter[frozenset[Hashable]] = Counter()
    for each, count in family.items():
        for part in _subsets(each):
            having[part] += count
    ordered = sum(
        count * (-1) ** len(part) * having[part]
        for each, count in family.items()
        for part in _subsets(each)
    )
    return (ordered - alone) // 2


def _subsets(whole: frozenset[Hashable]) -> Iterable[frozenset[Hashable]]:
    return (frozenset(p) for size in range(len(whole) + 1) for p in combinations(whole, size))
