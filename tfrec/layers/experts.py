"""Experts that tasks share, and gates by which each task weighs them."""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.activations import silu


@keras.saving.register_keras_serializable("tfrec")
class Experts(keras.layers.Layer):
    """What is known of a candidate -> a representation of it for each task.

    An expert is SiLU(x W + b). Task t gets Σ_e softmax(x G_t)_e · expert_e(x), over the experts that it may
    use. Without own experts those are the shared ones (Ma et al. 2018, MMoE). With own ones each task may
    use these and the shared ones, and nobody else's; between levels the shared part has a gate over all
    experts (Tang et al. 2020, PLE; with one level, CGC).

    Args:
        tasks: T.
        dimensions: D.
        shared: number of experts that all tasks use.
        own: number of each task's own experts; 0: MMoE.
        levels: how often, one after another; more than one needs own experts.

    Shapes: x [..., D] -> [..., T, D].

    Raises:
        ValueError: an expert would reach no task, or a gate would weigh nothing.
    """

    def __init__(
        self, tasks: int, dimensions: int, shared: int, own: int = 0, levels: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if shared < 1 or shared + own < 2 or (levels > 1 and own < 1):
            raise ValueError(f"shared={shared}, own={own}, levels={levels}: a gate would weigh nothing")
        self.tasks, self.dimensions = tasks, dimensions
        self.shared, self.own, self.levels = shared, own, levels
        sizes = [own] * tasks * (own > 0) + [shared]
        # One after another, level by level: Keras saves layers of a list, and not those of a list in a list.
        self.experts = [
            self._experts(size, f"experts_{level}_{group}")
            for level in range(levels)
            for group, size in enumerate(sizes)
        ]
        self.gates = [
            self._gate(own + shared if group < tasks else tasks * own + shared, f"gate_{level}_{group}")
            for level in range(levels)
            for group in range(tasks if level == levels - 1 else tasks + 1)
        ]

    def build(self, input_shape: Any = None) -> None:
        for layer in (*self.experts, *self.gates):
            layer.build((None, None, self.dimensions))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns [..., T, D]."""
        experts, gates = iter(self.experts), iter(self.gates)
        groups = [x] * (self.tasks + 1)
        for level in range(self.levels):
            own = [[next(experts)(group)] for group in groups[:-1]] if self.own else [[]] * self.tasks
            shared = next(experts)(groups[-1])
            seen = [[*one, shared] for one in own]
            if level < self.levels - 1:
                seen.append([part for one in own for part in one] + [shared])
            groups = [_weighed(next(gates)(group), parts) for group, parts in zip(groups, seen, strict=False)]
        return tf.stack(groups, axis=-2)

    def _experts(self, number: int, name: str) -> keras.layers.EinsumDense:
        return keras.layers.EinsumDense(
            "mcd,deh->mceh",
            output_shape=(None, number, self.dimensions),
            bias_axes="eh",
            activation=silu,
            name=name,
            dtype=self.dtype_policy,
        )

    def _gate(self, number: int, name: str) -> keras.layers.Dense:
        return keras.layers.Dense(
            number, use_bias=False, activation="softmax", name=name, dtype=self.dtype_policy
        )

    def get_config(self) -> dict[str, Any]:
        names = ("tasks", "dimensions", "shared", "own", "levels")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _weighed(gate: tf.Tensor, parts: list[tf.Tensor]) -> tf.Tensor:
    """Σ_e gate_e · expert_e of gates [..., E] and the experts of parts [..., e, D]."""
    return tf.reduce_sum(gate[..., None] * tf.concat(parts, axis=-2), axis=-2)
