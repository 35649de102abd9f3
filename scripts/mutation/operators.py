"""Mutations that cosmic-ray does not bring along: of statements, results and keyword arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword

Position = tuple[tuple[int, int], tuple[int, int]]


class RemoveStatement(Operator):
    """Put `pass` in the place of a call, a `raise`, or an assignment to an attribute or item."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        statement = node.children[0]
        node.children[0] = Keyword("pass", statement.start_pos, statement.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example("close(x)\n", "pass\n"), Example("self.x = 1\n", "pass\n")]


def _has_effect(statement: Any) -> bool:
    if statement.type == "expr_stmt":
        return bool(statement.children[0].type == "atom_expr")
    return statement.type in ("atom_expr", "raise_stmt", "del_stmt")


class ReturnNone(Operator):
    """Return None in the place of what was computed."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1:] = [Keyword("None", node.children[1].start_pos, " ")]
        return node

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example("def f():\n    return x", "def f():\n    return None")]


class RemoveKeyword(Operator):
    """Leave out one keyword argument of a call."""

    def mutation_positions(self, node: Any) -> list[Position]:
        # All at once: cosmic-ray asks for the next position after the mutation, too.
        keywords = [node.children[place] for place in self._places(node)]
        return [(keyword.start_pos, keyword.end_pos) for keyword in keywords]

    def mutate(self, node: Any, index: int) -> Any:
        place = self._places(node)[index]
        # With the comma that follows or, of the last one, the comma before it.
        comma = place if place + 1 < len(node.children) else place - 1
        if node.type == "arglist":
            del node.children[comma : comma + 2]
        else:
            del node.children[place]
        return node

    def _places(self, node: Any) -> list[int]:
        if node.type not in ("arglist", "trailer"):
            return []
        return [
            place
            for place, child in enumerate(node.children)
            if child.type == "argument" and len(child.children) == 3
        ]

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            Example("f(a, b=1)", "f(a)"),
            Example("f(b=1)", "f()"),
            Example("f(b=1, c=2)", "f( c=2)"),
        ]


class Provider:
    """What cosmic-ray asks for operators."""

    _operators: ClassVar[dict[str, type[Operator]]] = {
        each.__name__: each for each in (RemoveStatement, ReturnNone, RemoveKeyword)
    }

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __getitem__(self, name: str) -> type[Operator]:
        return self._operators[name]
