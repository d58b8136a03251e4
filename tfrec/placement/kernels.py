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
    found = {kernel.device_type for kernel in _kernels(node.op) if _fits(kernel, node)}
    return frozenset(device for device in (CPU, GPU) if {device, _ANY} & found)


@functools.cache
def _kernels(op: str) -> tuple[Any, ...]:
    # TensorFlow has no public name for it; the C API's is TF_GetRegisteredKernelsForOp.
    return tuple(kernels.get_registered_kernels_for_op(op).kernel)


def _fits(kernel: Any, node: Any) -> bool:
    # A kernel with a label is for nodes that ask for it by name.
    return not kernel.label and all(
        set(_types(node, constraint.name)) <= set(constraint.allowed_values.list.type)
        for constraint in kernel.constraint
        if constraint.allowed_values.list.type
    )


def _types(node: Any, name: str) -> list[int]:
    """The dtypes that an attribute of a node names."""
    value = node.attr[name] if name in node.attr else _default(node.op, name)
    if value is None:
        return []
    return list(value.list.type) if value.HasField("list") else [value.type]


def _default(op: str, name: str) -> Any:
    """What an attribute is where a node does not say, as SavedModels leave out what is the default."""
    definition = op_def_registry.get(op)
    found = [] if definition is None else [attr for attr in definition.attr if attr.name == name]
    return found[0].default_value if found and found[0].HasField("default_value") else None
