"""TensorFlow's registry of kernels: on which kinds of device a node can be computed."""

import functools
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

CPU = "CPU"
GPU = "GPU"
_ANY = "DEFAULT"
"""Kernels of this kind serve every device that has none of its own for the op."""


def knows_gpu() -> bool:
    """Whether this TensorFlow was built with kernels for GPUs; they are registered with no GPU there, too."""
    return bool(tf.test.is_built_with_cuda() or tf.test.is_built_with_rocm())


def devices_of(node: Any) -> frozenset[str]:
    """The kinds of device among CPU and GPU that have a kernel for a node's op with its dtypes.

    Args:
        node: a NodeDef.
    """
    return _devices(node.op, tuple((name, _types(node, name)) for name in _chosen_by(node.op)))


@functools.cache  # a graph has thousands of nodes, of a few kinds
def _devices(op: str, types: tuple[tuple[str, tuple[int, ...]], ...]) -> frozenset[str]:
    found = {kernel.device_type for kernel in _kernels(op) if _fits(kernel, dict(types))}
    return frozenset(device for device in (CPU, GPU) if {device, _ANY} & found)


@functools.cache
def _kernels(op: str) -> tuple[Any, ...]:
    # TensorFlow has no public name for it; the C API's is TF_GetRegisteredKernelsForOp.
    return tuple(kernels.get_registered_kernels_for_op(op).kernel)


@functools.cache
def _chosen_by(op: str) -> tuple[str, ...]:
    """The attributes by whose dtypes a kernel of an op is chosen."""
    return tuple({constraint.name: None for kernel in _kernels(op) for constraint in kernel.constraint})


def _fits(kernel: Any, types: dict[str, tuple[int, ...]]) -> bool:
    # A kernel with a label is for nodes that ask for it by name.
    return not kernel.label and all(
        set(types[constraint.name]) <= set(constraint.allowed_values.list.type)
        for constraint in kernel.constraint
        if constraint.allowed_values.list.type
    )


def _types(node: Any, name: str) -> tuple[int, ...]:
    """The dtypes that an attribute of a node names."""
    value = node.attr[name] if name in node.attr else _default(node.op, name)
    if value is None:
        return ()
    return tuple(value.list.type) if value.HasField("list") else (value.type,)


def _default(op: str, name: str) -> Any:
    """What an attribute is where a node does not say, as SavedModels leave out what is the default."""
    definition = op_def_registry.get(op)
    found = [] if definition is None else [attr for attr in definition.attr if attr.name == name]
    return found[0].default_value if found and found[0].HasField("default_value") else None
