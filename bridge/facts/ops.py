"""What TensorFlow's ops are, by their names, and the passes of its graph optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Ops that hand on what they are given.
PASSING: Final = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
#: Ops that hand on what they are given in another shape, and compute nothing.
RESHAPING: Final = frozenset({"ExpandDims", "Identity", "Reshape", "Squeeze"})
#: Nodes that are no operations: what goes in, what comes out, and what holds them together.
PLUMBING: Final = frozenset({
    "NoOp", "Identity", "IdentityN", "_Arg", "_Retval", "Const", "Placeholder",
})  # fmt: skip
#: Ops that carry a layer's weights or shape to it, and compute nothing of their own.
CARRIERS: Final = frozenset({
    "ReadVariableOp", "Shape", "ExpandDims", "Pack", "StridedSlice", "Cast",
})  # fmt: skip
#: Ops through which a weight goes before it is used.
HOLDING: Final = frozenset({
    "Identity", "Reshape", "Cast", "Transpose", "ReadVariableOp", "Enter", "Switch",
})  # fmt: skip

#: Ops that multiply and add up what two operands hold.
PRODUCTS: Final = ("MatMul", "Conv2D", "Conv3D", "DepthwiseConv2dNative")
#: The same in all versions, with those that TensorFlow fuses others into.
CONTRACTIONS: Final = frozenset({
    *PRODUCTS, "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3",
    *(f"_Fused{name}" for name in PRODUCTS), "_FusedBatchMatMulV2",
})  # fmt: skip
#: Activations that are ops by themselves too.
ACTIVATIONS: Final = frozenset({"Elu", "LeakyRelu", "Relu", "Relu6", "Sigmoid", "Tanh"})
#: What is fused into an op beside its activation.
NOT_ACTIVATIONS: Final = frozenset({"BiasAdd", "FusedBatchNorm", "Add"})
#: Ops that add a bias.
BIASES: Final = frozenset({"BiasAdd", "Add", "AddV2"})

#: Grappler's passes, as causes name them (``grappler:<pass>``), and the switch of each in the
#: options of the graph optimiser (``RewriterConfig`` of TensorFlow's rewriter_config.proto). Those
#: that :func:`tf.config.optimizer.set_experimental_options` knows are in its documentation;
#: ``common_subgraph_elimination`` and ``memory_optimization`` it takes and ignores.
PASSES: Final[Mapping[str, str]] = {
    "remapping": "remapping",
    "constant_folding": "constant_folding",
    "arithmetic": "arithmetic_optimization",
    "layout": "layout_optimizer",
    "dependency": "dependency_optimization",
    "loop": "loop_optimization",
    "function": "function_optimization",
    "shape": "shape_optimization",
    "common_subgraph": "common_subgraph_elimination",
    "implementation_selector": "implementation_selector",
    "model_pruning": "disable_model_pruning",
    "plugin": "use_plugin_optimizers",
    "scoped_allocator": "scoped_allocator_optimization",
    "pin_to_host": "pin_to_host_optimization",
    "debug_stripper": "debug_stripper",
    "auto_mixed_precision": "auto_mixed_precision",
    "auto_mixed_precision_mkl": "auto_mixed_precision_mkl",
    "auto_mixed_precision_onednn_bfloat16": "auto_mixed_precision_onednn_bfloat16",
}
