"""How executors are built from the target, and what their class is."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...base.attributes import SETTINGS, check_attribute
from ...base.common import CommonExecutor
from ...targets.target import Target
from ..instruments.effects import Effects, effects
from .exceptions import CouldNotRun


class Building:
    """Builds the executors of one target."""

    def __init__(self, target: Target, sign: Callable[[], None]) -> None:
        """Call `sign` before each, as a sign of life."""
        self.target = target
        #: The class of the first executor that was built, as `module:name`.
        self.built = ""
        #: What building the first executor did: it may do more than any later one does.
        self.first_build = Effects()
        #: Whether settings are mended that no executor can have, as a foreign base may leave them.
        self.mends = False
        self._sign = sign
        self._class: type | None = None

    def first(self) -> Any:
        """The first executor of all."""
        with effects() as first:
            executor = self.build()
        # A factory may not give as many as there are questions.
        self._class = type(executor)
        self.built = f"{type(executor).__module__}:{type(executor).__qualname__}"
        # The first call of a factory may start the backend that its executors need.
        if self.target.is_class:
            self.first_build = first
        return executor

    def build(self, **attributes: Any) -> Any:
        """A fresh executor from the target, with these attributes set on it."""
        self._sign()
        executor = self.target.build()
        if self.mends:
            _mend(executor)
        for name, value in attributes.items():
            try:
                setattr(executor, name, value)
            except Exception as error:
                raise CouldNotRun(
                    f"the attribute {name!r} of the executor cannot be set: {error!r}"
                ) from error
        return executor

    @property
    def cls(self) -> type:
        """The class that is judged."""
        if self.target.is_class and isinstance(self.target.build, type):
            return self.target.build
        if self._class is None:
            self._class = type(self.build())
        return self._class

    def construct(self, **arguments: Any) -> Any:
        """Call the class itself, with these arguments and with what else it demands."""
        self._sign()
        needed: dict[str, Any] = {}
        model: Any = None
        for name, parameter in self.parameters().items():
            if parameter.default is not parameter.empty or name in arguments:
                continue
            if model is None:
                model = self.build()
            if not hasattr(model, name):
                raise CouldNotRun(
                    f"the constructor demands {name!r}, and what the target builds has no "
                    "attribute of that name to take it from"
                )
            needed[name] = getattr(model, name)
        return self.cls(**needed, **arguments)

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The named parameters of the class's constructor."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        try:
            signature = inspect.signature(self.cls)
        except (TypeError, ValueError):
            return {}
        return {n: p for n, p in signature.parameters.items() if p.kind in kinds}

    def takes(self, name: str) -> bool:
        """Whether the constructor has a parameter of this name, or one for any keyword."""
        try:
            parameters = inspect.signature(self.cls).parameters
        except (TypeError, ValueError):
            return False
        return name in self.parameters() or any(
            p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
        )

    @property
    def execute_is_foreign(self) -> bool:
        """Whether `execute` comes from a base class that is neither the subject's nor ours."""
        cls = self.cls
        definer = next((base for base in cls.__mro__ if "execute" in vars(base)), None)
        return definer not in (None, cls, CommonExecutor) and (definer.__module__ != cls.__module__)

    @property
    def script(self) -> str:
        """Lines of Python after which `executor` is one of the target's."""
        module, _, name = self.target.spec.rpartition(":" if ":" in self.target.spec else ".")
        first, _, rest = name.partition(".")
        lines = [f"from {module} import {first}"]
        if module.startswith("covalent"):
            lines.insert(0, "import covalent")
        lines.append(f"executor = {first}{'.' if rest else ''}{rest}()")
        return "\n".join(lines)


def _mend(executor: Any) -> None:
    """Give settings their default values that have values which they cannot have."""
    documented = inspect.signature(CommonExecutor).parameters
    for name in SETTINGS:
        default = documented[name].default
        try:
            check_attribute(name, getattr(executor, name, default), type(executor))
        except (TypeError, ValueError):
            with contextlib.suppress(Exception):
                setattr(executor, name, default)
