/* Every check that can refuse a file, by name: what dqnn_fault.check means. A check is made in exactly one place, the
 * file in its section's heading. Entries may be added or reordered freely; the numbers are never stored. */
#ifndef DQNN_CHECKS_H
#define DQNN_CHECKS_H

/* X(name, text): the enumerator is DQNN_CHECK_<name>; text says what must hold. */
#define DQNN_CHECKS(X)                                                                                     \
  X(none, "no particular check")                                                                           \
  /* src/model.c: tensors */                                                                               \
  X(tensor_dtype, "dtype is s1, s8 or f32 and reserved bytes are 0")                                       \
  X(tensor_rank, "rank is 1 to 4 and dimensions beyond it are 1")                                          \
  X(tensor_size, "dimensions are positive and the size fits 31 bits")                                      \
  X(tensor_quantization, "s8: scale finite and > 0, zero point in -128..127; s1 and f32: scale 1, zero 0") \
  X(tensor_place, "tensor is 16-byte aligned and inside the arena")                                        \
  X(constant_place, "constant is 16-byte aligned and inside data")                                         \
  /* src/model.c: graph */                                                                                 \
  X(arena_size, "arena size is a multiple of 16 and below 2^31")                                           \
  X(node_count, "at most DQNN_MAX_NODES nodes")                                                            \
  X(port_tensor, "port names a tensor")                                                                    \
  X(port_overlap, "model inputs do not share memory")                                                      \
  X(tensor_index, "node names existing tensors")                                                           \
  X(constant_index, "node names existing constants")                                                       \
  X(input_count, "number of inputs is one that the kernel takes")                                          \
  X(constant_count, "number of constants is one that the kernel takes")                                    \
  X(params_present, "exactly the parameters struct of the kernel's family is present")                     \
  X(scratch_place, "scratch is 16-byte aligned and inside the arena")                                      \
  X(scratch_overlap, "scratch is disjoint from the node's inputs and output")                              \
  X(output_overlap, "output shares memory with input 0 only, from its first byte, as far as plan allows")  \
  X(defined_before_use, "tensor is a model input or written by an earlier node")                           \
  X(overwritten_before_use, "tensor is not overwritten between its definition and its use")                \
  X(kernel_bitmap, "prefix bitmap lists exactly the kernels of the nodes")                                 \
  /* kernels: plan functions */                                                                            \
  X(input_dtype, "input has the kernel's type")                                                            \
  X(output_dtype, "output has the kernel's type")                                                          \
  X(input_shape, "input has a shape that the kernel takes")                                                \
  X(output_shape, "output has the shape that input and parameters give")                                   \
  X(rank, "rank is one that the kernel takes")                                                             \
  X(channels, "channels agree with groups and multiplier")                                                 \
  X(kernel_size, "kernel size is positive")                                                                \
  X(stride, "stride is positive")                                                                          \
  X(dilation, "dilation is positive")                                                                      \
  X(input_dilation, "input dilation is positive and one that the kernel takes")                            \
  X(padding, "padding is smaller than the kernel")                                                         \
  X(pad_value, "pad value is one of the input's type")                                                     \
  X(groups, "groups divide input and output channels")                                                     \
  X(multiplier, "depth multiplier fits")                                                                   \
  X(pool, "fused pool is positive and fits")                                                               \
  X(requant, "requantization is one that the kernel's types allow")                                        \
  X(half_weights, "half_weights is 0 or 1 and allowed for these types")                                    \
  X(act_range, "act_min <= act_max, neither NaN; s8: integers in -128..127")                               \
  X(reserved, "reserved fields are 0")                                                                     \
  X(kind, "kind is a known operation")                                                                     \
  X(axis, "axis is below the rank, every axis once")                                                       \
  X(index_range, "all elements read lie inside the input")                                                 \
  X(quantization, "scales and zero points of inputs and output agree")                                     \
  X(accumulator_range, "the accumulator cannot leave its type")                                            \
  X(constant_bytes, "constant has exactly the size that shapes give")                                      \
  X(constant_value, "constant holds values in range")

#define DQNN_CHECK_ENUMERATOR(name, text) DQNN_CHECK_##name,
typedef enum { DQNN_CHECKS(DQNN_CHECK_ENUMERATOR) DQNN_CHECK_NUMBER } dqnn_check;
#undef DQNN_CHECK_ENUMERATOR

#endif
