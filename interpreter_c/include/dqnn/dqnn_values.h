/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Between real values and what a tensor stores, with the roundings that schema/SPEC.md section 2 gives: the bits that
 * Python's `set_input` and `predict` would have made. An optional object (src/values.c), linked where it is called. For
 * cores without double precision it brings libgcc's; code that must do without stores codes itself. */
#ifndef DQNN_VALUES_H
#define DQNN_VALUES_H

#include "dqnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Stores real values in a tensor, usually an input.
 * tensor: as dqnn_input gave it. values: `count` of them, outermost dimension first; count must be the product of
 *   tensor->dims, so that no row is forgotten.
 * f32 takes them as they are. s8 rounds as the tensor's `rounding` says and saturates; NaN gives the lowest code. An
 * input of raw samples gets the nearest sample, NaN gives sample 0. s1: what is negative and no denormal is -1, all
 * else (NaN too) +1.
 * Returns DQNN_OK, or ARGUMENT for NULL and a wrong count; nothing is stored then. */
dqnn_status dqnn_tensor_store_f32(const dqnn_tensor *tensor, const float *values, uint32_t count);

/* The real values of a tensor, usually an output: scale * (code - zero_point) for s8, +1 and -1 for s1; of an input of
 * raw samples in the units of its scale, which are those of the kernels that read it. Arguments and result as above. */
dqnn_status dqnn_tensor_load_f32(const dqnn_tensor *tensor, float *values, uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
