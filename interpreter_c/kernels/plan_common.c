/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Checks that several families share. plan.h explains the style. */
#include "plan.h"

#include "../src/numerics.h"
#include "limits.h"

uint32_t dqnn_size_mul(uint32_t a, uint32_t b) {
  uint64_t product = (uint64_t)a * b;
  return product > UINT32_MAX ? UINT32_MAX : (uint32_t)product;
}

uint32_t dqnn_size_add(uint32_t a, uint32_t b) {
  return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

uint32_t dqnn_size_div(uint32_t a, uint32_t b) {
  return a == UINT32_MAX ? a : a / b + (a % b != 0 ? 1u : 0u);
}

dqnn_check dqnn_spend(dqnn_plan *plan, uint64_t steps) {
  DQNN_REQUIRE(steps <= plan->work, work);
  plan->work -= (uint32_t)steps;
  return DQNN_CHECK_none;
}

/* Below 2^32: each constant is smaller than the file, which is below 2^31 bytes. */
static uint32_t words_of_constants(const dqnn_call *call) {
  uint32_t words = 0;
  for (uint32_t i = 0; i < call->constant_count; ++i) {
    words += call->constant_bytes[i] / 4;
  }
  return words;
}

dqnn_status dqnn_status_of(uint16_t check) {
#define DQNN_CHECK(number, name, status, text) [number] = DQNN_ERROR_KERNEL_##status,
#define DQNN_LOAD_CHECK(number, name, status, text) [number] = DQNN_ERROR_##status,
  static const uint8_t statuses[DQNN_CHECK_COUNT] = {
      [DQNN_CHECK_none] = DQNN_OK,
#include "../src/checks.def"
  };
  return (dqnn_status)statuses[check];
}

dqnn_check dqnn_plan_with(dqnn_plan_fn checks, const dqnn_call *call, dqnn_plan *plan) {
  *plan = (dqnn_plan){.work = plan->work};
  DQNN_TRY(dqnn_spend(plan, words_of_constants(call)));
  DQNN_TRY(checks(call, plan));
  for (uint32_t isa = 0; isa < DQNN_ISA_NUMBER; ++isa) {
    uint32_t bytes = plan->scratch[isa];
    if (isa != DQNN_ISA_winograd && bytes != UINT32_MAX && bytes > plan->scratch_bytes) {
      plan->scratch_bytes = bytes;
    }
  }
  return DQNN_CHECK_none;
}

dqnn_kernel_types dqnn_types_of(uint16_t kernel) {
  enum { s1 = DQNN_S1, s8 = DQNN_S8, f32 = DQNN_F32, any = DQNN_TYPE_ANY, none = DQNN_TYPE_ANY };
#define DQNN_KERNEL(id, name, family, in, w, out, variants) [id] = (uint8_t)((in) | (w) << 2 | (out) << 4),
  static const uint8_t types[] = {
#include "dqnn/kernels.def"
  };
  dqnn_kernel_types result = {DQNN_TYPE_ANY, DQNN_TYPE_ANY, DQNN_TYPE_ANY};
  if (kernel < sizeof types) {
    result.input = types[kernel] & 3;
    result.weights = types[kernel] >> 2 & 3;
    result.output = types[kernel] >> 4;
  }
  return result;
}

static dqnn_check check_tensor(const dqnn_tensor_def *def) {
  uint16_t check = DQNN_CHECK_none;
  return dqnn_tensor_bytes(def, &check) != 0 ? DQNN_CHECK_none : (dqnn_check)check;
}

dqnn_check dqnn_check_call(const dqnn_call *call, uint32_t least_inputs, uint32_t most_inputs, int has_params) {
  dqnn_kernel_types types = dqnn_types_of(call->kernel);
  DQNN_REQUIRE(types.output != DQNN_TYPE_ANY, kernel_id);
  DQNN_REQUIRE(call->inputs >= least_inputs && call->inputs <= most_inputs, input_count);
  DQNN_REQUIRE(!has_params || call->params != NULL, params_missing);
  for (uint32_t i = 0; i < call->inputs; ++i) {
    DQNN_TRY(check_tensor(call->in_def[i]));
    DQNN_REQUIRE(types.input == DQNN_TYPE_ANY || call->in_def[i]->dtype == types.input, input_type);
  }
  DQNN_TRY(check_tensor(call->out_def));
  DQNN_REQUIRE(call->out_def->dtype == types.output, output_type);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_same_shape(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  DQNN_REQUIRE(a->rank == b->rank, rank);
  for (uint32_t i = 0; i < a->rank; ++i) {
    DQNN_REQUIRE(a->dims[i] == b->dims[i], output_shape);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_same_quantization(const dqnn_tensor_def *a, const dqnn_tensor_def *b) {
  DQNN_REQUIRE(dqnn_float_bits(a->scale) == dqnn_float_bits(b->scale) && a->zero_point == b->zero_point, quantization);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_requant(uint8_t requant, uint8_t output, int integer) {
  DQNN_REQUIRE(requant <= DQNN_REQUANT_FIXED64, requant);
  DQNN_REQUIRE(requant == DQNN_REQUANT_AFFINE || (output == DQNN_S8 && integer), requant);
  return DQNN_CHECK_none;
}

static int is_stored_s8(float value) {
  return value >= -128.0f && value <= 127.0f && (float)(int32_t)value == value;
}

int dqnn_storable(float value, uint8_t dtype) {
  if (dtype == DQNN_S1) {
    return value == 1.0f || value == -1.0f;
  }
  return dtype == DQNN_S8 ? is_stored_s8(value) : !dqnn_is_nan(value);
}

enum {
  MOST_POSITION = 1 << 30, /* of a dilated input */
  MOST_PADDING = 65535     /* after the input, as the uint16 before it */
};

int dqnn_axis_fits(uint32_t in, uint32_t pooled, uint32_t pool, uint32_t kernel, uint32_t stride, uint32_t dilation,
                   uint32_t pad, uint32_t up) {
  uint32_t outputs = dqnn_size_mul(pooled, pool);
  uint64_t dilated = (uint64_t)(in - 1) * up + 1;
  uint64_t end = (uint64_t)(outputs - 1) * stride + (uint64_t)(kernel - 1) * dilation + 1;
  uint64_t have = dilated + pad;
  return dilated <= MOST_POSITION && end <= have + MOST_PADDING && end + (uint64_t)stride * pool > have;
}

uint32_t dqnn_largest_integer(const dqnn_tensor_def *def) {
  if (def->dtype == DQNN_S1) {
    return 1;
  }
  uint32_t below = (uint32_t)(def->zero_point + 128), above = (uint32_t)(127 - def->zero_point);
  return below > above ? below : above;
}

dqnn_check dqnn_check_activation(float act_min, float act_max, uint8_t output) {
  DQNN_REQUIRE(act_min <= act_max, activation_range); /* false for NaN */
  if (output == DQNN_S8) {
    DQNN_REQUIRE(is_stored_s8(act_min) && is_stored_s8(act_max), activation_range);
  }
  if (output == DQNN_S1) {
    DQNN_REQUIRE(act_min < 0.0f && !dqnn_is_finite(act_min), activation_range);
    DQNN_REQUIRE(act_max > 0.0f && !dqnn_is_finite(act_max), activation_range);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_flip(const dqnn_call *call, uint32_t index, uint32_t channels) {
  const uint32_t *flip = (const uint32_t *)call->constants[index];
  uint32_t words = dqnn_size_div(channels, 32);
  DQNN_REQUIRE(call->constant_bytes[index] == dqnn_size_mul(words, 4), flip_bytes);
  DQNN_REQUIRE(channels % 32 == 0 || flip[words - 1] >> channels % 32 == 0, flip_padding);
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_thresholds(const dqnn_call *call, uint32_t index, uint32_t count, int integer) {
  DQNN_REQUIRE(call->constant_bytes[index] == dqnn_size_mul(count, 4), epilogue_bytes);
  const float *thresholds = (const float *)call->constants[index];
  for (uint32_t c = 0; !integer && c < count; ++c) {
    DQNN_REQUIRE(!dqnn_is_nan(thresholds[c]), threshold);
  }
  return DQNN_CHECK_none;
}

dqnn_check dqnn_check_inverse(const dqnn_call *call, uint32_t index) {
  DQNN_REQUIRE(call->constant_bytes[index] == 4, constant_bytes);
  DQNN_REQUIRE(dqnn_is_finite(*(const float *)call->constants[index]), inverse_scale);
  return DQNN_CHECK_none;
}

/* A shift of `low`..DQNN_MOST_SHIFT for every channel, no negative multiplier. */
static dqnn_check check_fixed_point(const int32_t *multiplier, const int32_t *shift, uint32_t channels, int32_t low) {
  for (uint32_t c = 0; c < channels; ++c) {
    DQNN_REQUIRE(shift[c] >= low && shift[c] <= DQNN_MOST_SHIFT, fixed_point);
    DQNN_REQUIRE(multiplier == NULL || multiplier[c] >= 0, fixed_point);
  }
  return DQNN_CHECK_none;
}

/* With these the sum of dqnn_fixed64 stays within 63 bits. */
static dqnn_check check_fixed64(const dqnn_call *call, uint32_t first, uint32_t channels) {
  const int64_t most = INT64_C(1) << 62, *offset = (const int64_t *)call->constants[first];
  const int32_t *multiplier = (const int32_t *)call->constants[first + 1],
                *shift = (const int32_t *)call->constants[first + 2];
  for (uint32_t c = 0; c < channels; ++c) {
    DQNN_REQUIRE(offset[c] > -most && offset[c] < most, fixed_point);
    DQNN_REQUIRE(multiplier[c] >= 0 && shift[c] >= 1 && shift[c] <= DQNN_MOST_WIDE_SHIFT, fixed_point);
  }
  return DQNN_CHECK_none;
}

/* Finite scales and offsets of an integer accumulator never make a NaN, which boards round to another integer than the
 * host. */
static dqnn_check check_finite(const float *values, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    DQNN_REQUIRE(dqnn_is_finite(values[i]), epilogue_finite);
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_divisors(const dqnn_call *call, uint32_t first, uint32_t channels) {
  const float *scale = (const float *)call->constants[first];
  for (uint32_t c = 0; c < channels; ++c) {
    DQNN_REQUIRE(scale[c] > 0.0f && dqnn_is_finite(scale[c]), divisor);
  }
  return DQNN_CHECK_none;
}

static dqnn_check check_rescale(const dqnn_call *call, uint32_t first, uint32_t channels, uint8_t requant) {
  static const uint8_t counts[] = {2, 3, 2, 3, 1, 1}; /* of constants, by requant */
  uint32_t count = counts[requant];
  DQNN_REQUIRE(call->constant_count == first + count, constant_count);
  for (uint32_t i = first; i < first + count; ++i) {
    uint32_t wide = requant == DQNN_REQUANT_FIXED64 && i == first;
    DQNN_REQUIRE(call->constant_bytes[i] == dqnn_size_mul(channels, wide ? 8 : 4), epilogue_bytes);
  }
  if (requant == DQNN_REQUANT_FIXED64) {
    return check_fixed64(call, first, channels);
  }
  if (requant >= DQNN_REQUANT_DIVIDE_EVEN) {
    return check_divisors(call, first, channels);
  }
  const int32_t *second = (const int32_t *)call->constants[first + 1];
  if (requant == DQNN_REQUANT_FIXED_POINT) {
    return check_fixed_point(second, (const int32_t *)call->constants[first + 2], channels, -31);
  }
  if (requant == DQNN_REQUANT_POWER_OF_TWO) {
    return check_fixed_point(NULL, second, channels, 0);
  }
  DQNN_TRY(check_finite((const float *)call->constants[first], channels));
  return check_finite((const float *)call->constants[first + 1], channels);
}

dqnn_check dqnn_check_epilogue(const dqnn_call *call, uint32_t first, uint32_t channels, uint8_t requant, int integer) {
  if (call->out_def->dtype != DQNN_S1) {
    return check_rescale(call, first, channels, requant);
  }
  DQNN_REQUIRE(call->constant_count == first + 1 || call->constant_count == first + 2, constant_count);
  DQNN_TRY(dqnn_check_thresholds(call, first, channels, integer));
  return call->constant_count == first + 2 ? dqnn_check_flip(call, first + 1, channels) : DQNN_CHECK_none;
}
