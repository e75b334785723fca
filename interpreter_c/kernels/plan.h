/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the plan functions share: one check is one condition with a name from checks.def.
 *
 * A check function returns DQNN_CHECK_none or the first condition that failed. Sizes are computed in saturating 32-bit
 * arithmetic: UINT32_MAX stands for "too large" and equals no size that exists, so hostile values cannot wrap around to
 * a small one. */
#ifndef DQNN_PLAN_H
#define DQNN_PLAN_H

#include "../src/kernel.h"

/* Runs once per load: not inlined, and compiled for size. */
#if defined(__GNUC__)
#define DQNN_PLANNING __attribute__((noinline, cold))
#else
#define DQNN_PLANNING
#endif

#define DQNN_REQUIRE(condition, name) \
  do {                                \
    if (!(condition)) {               \
      return DQNN_CHECK_##name;       \
    }                                 \
  } while (0)

#define DQNN_TRY(call_check)            \
  do {                                  \
    dqnn_check try_check = call_check;  \
    if (try_check != DQNN_CHECK_none) { \
      return try_check;                 \
    }                                   \
  } while (0)

enum { DQNN_IN_PLACE = -1 }; /* (uint32_t)DQNN_IN_PLACE: the output may lie on input 0 */

/* Checking is bounded: a plan pays for what it looks at, in steps of about the time to test a word of a constant, from
 * plan->work. dqnn_plan_with pays once for every word of the constants; whoever looks at words more than once pays for
 * that before. */
dqnn_check dqnn_spend(dqnn_plan *plan, uint64_t steps);

/* Element types of a kernel by its kernels.def line. */
enum { DQNN_TYPE_ANY = 3 }; /* also: none */
typedef struct {
  uint8_t input, weights, output;
} dqnn_kernel_types;
dqnn_kernel_types dqnn_types_of(uint16_t kernel);

/* Kernel id, number of inputs, parameters present, and every tensor: valid, and of the type the kernel has. */
dqnn_check dqnn_check_call(const dqnn_call *call, uint32_t least_inputs, uint32_t most_inputs, int has_params);

/* Equal dimensions, whatever the rank field says about leading ones: ranks must be equal too. */
dqnn_check dqnn_check_same_shape(const dqnn_tensor_def *a, const dqnn_tensor_def *b);
dqnn_check dqnn_check_same_quantization(const dqnn_tensor_def *a, const dqnn_tensor_def *b);

/* Constants of an epilogue, from index `first` to the last one. `channels` values each; `integer`: kind of accumulator.
 */
dqnn_check dqnn_check_epilogue(const dqnn_call *call, uint32_t first, uint32_t channels, uint8_t requant, int integer);
dqnn_check dqnn_check_requant(uint8_t requant, uint8_t output, int integer); /* not those that divide */
dqnn_check dqnn_check_activation(float act_min, float act_max, uint8_t output);
dqnn_check dqnn_check_thresholds(const dqnn_call *call, uint32_t index, uint32_t count, int integer);
dqnn_check dqnn_check_flip(const dqnn_call *call, uint32_t index, uint32_t channels);
dqnn_check dqnn_check_inverse(const dqnn_call *call, uint32_t index);

/* The value can be stored in a tensor of that type (s1: -1 or 1). */
int dqnn_storable(float value, uint8_t dtype);

/* One axis of a window that begins `pad` cells before the input. The cells after it follow from the output size: they
 * must be neither negative by a whole (pooled) stride, which would leave out input cells as no Keras layer does, nor
 * absurdly many. Then no position leaves int32. */
int dqnn_axis_fits(uint32_t in, uint32_t pooled, uint32_t pool, uint32_t kernel, uint32_t stride, uint32_t dilation,
                   uint32_t pad, uint32_t up);

/* Largest |stored - zero_point| of an s8 tensor, 1 for s1. */
uint32_t dqnn_largest_integer(const dqnn_tensor_def *def);

/* Saturating arithmetic. */
uint32_t dqnn_size_mul(uint32_t a, uint32_t b);
uint32_t dqnn_size_add(uint32_t a, uint32_t b);
/* Rounded up; b is a power of two or small, never 0. UINT32_MAX stays. */
uint32_t dqnn_size_div(uint32_t a, uint32_t b);

#endif
