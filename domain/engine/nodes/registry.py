"""Every node type there is: the `NODE` of each module in this package that has one."""

from __future__ import annotations

import importlib
import pkgutil

from domain.engine import nodes
from domain.engine.nodes.node import NodeType


def _node_types() -> dict[str, NodeType]:
    names = sorted(module.name for module in pkgutil.iter_modules(nodes.__path__, nodes.__name__ + "."))
    modules = [importlib.import_module(name) for name in names if name != __name__]
    found: list[NodeType] = [module.NODE for module in modules if hasattr(module, "NODE")]
    return {node.type: node for node in found}


NODE_TYPES: dict[str, NodeType] = _node_types()
