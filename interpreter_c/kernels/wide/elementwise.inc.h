/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What affine_* and binary_* share: rows of a tensor go in chunks through the epilogues of emit.inc.h.
 *
 * A chunk is read whole before it is written, so that the output may take the place of input 0 as plan allows. Where
 * one constant serves all channels, it is repeated for a chunk once, and chunks take the place of pixels.
 *
 * A template. In: DQNN_FLOAT_SUMS (emit.inc.h). Out: layer, read_affine(), read_constants(), put(). */
#include "../map.h"
#include "emit.inc.h"

enum { CHUNK = 64, CONSTANTS = 3 };

typedef union {
  int32_t integer;
  float real;
} constant;

typedef struct {
  sink to;
  uint8_t *out;
  uint32_t rows, last, row_bytes;
  uint8_t per_channel;
  constant repeated[CONSTANTS][CHUNK];
  int64_t repeated64[CHUNK];
  uint32_t flip[CHUNK / 32];
} layer;

/* Elements first .. first + n - 1 of a row. Without constants per channel: n <= CHUNK. */
static void put(layer *l, const number *x, uint32_t row, uint32_t first, uint32_t n) {
  if (l->per_channel) {
    emit(&l->to, x, row, first, n);
    return;
  }
  l->to.out = l->out + row * l->row_bytes;
  emit(&l->to, x, first / CHUNK, 0, n);
}

/* Shapes and the part of the rule that the file does not hold as constants. `joined`: elements need not be told apart
 * by row or channel. */
static void read_layer(const dqnn_call *call, int joined, uint8_t requant, float act_min, float act_max, layer *l) {
  const dqnn_tensor_def *out = call->out_def;
  dqnn_epilogue *e = &l->to.rule;
  l->rows = dqnn_rows(out);
  l->last = dqnn_last(out);
  if (joined && (out->dtype != DQNN_S1 || l->last % 32 == 0)) {
    l->last *= l->rows;
    l->rows = 1;
  }
  l->out = l->to.out = (uint8_t *)call->out;
  l->to.type = out->dtype;
  l->to.plain = 0;
  l->row_bytes = dqnn_bytes_along(out->dtype, l->last);
  e->requant = requant;
  e->clamps = 1;
  e->zero_point = out->dtype == DQNN_S8 ? out->zero_point : 0;
  e->low = act_min - (float)e->zero_point;
  e->high = act_max - (float)e->zero_point;
  e->least = out->dtype == DQNN_S8 ? (int32_t)act_min - e->zero_point : 0;
  e->most = out->dtype == DQNN_S8 ? (int32_t)act_max - e->zero_point : 0;
}

/* The rule's constants and, for s1, flips. */
static void set_constants(layer *l, const constant *const *constants, const uint32_t *flip) {
  dqnn_epilogue *e = &l->to.rule;
  l->to.flip = flip;
  l->to.thresholds = (const number *)constants[0];
  e->scale = (const float *)constants[0];
  e->bias = (const int32_t *)constants[0];
  e->offset = (const float *)constants[1];
  e->multiplier = (const int32_t *)constants[1];
  int wide = e->requant == DQNN_REQUANT_FIXED_POINT || e->requant == DQNN_REQUANT_FIXED64;
  e->shift = (const int32_t *)constants[wide ? 2 : 1];
}

/* Constants that lie in the file, one per channel. */
static void use_channels(const dqnn_call *call, layer *l) {
  const constant *constants[CONSTANTS];
  int s1 = call->out_def->dtype == DQNN_S1;
  for (uint32_t i = 0; i < CONSTANTS; i++) {
    constants[i] = (const constant *)call->constants[i < call->constant_count ? i : 0];
  }
  l->per_channel = 1;
  l->to.pixel_bytes = l->row_bytes;
  set_constants(l, constants, s1 && call->constant_count > 1 ? (const uint32_t *)call->constants[1] : NULL);
  l->to.rule.offset64 = (const int64_t *)call->constants[0];
}

/* One value of each, for all channels; flip: bit 0. */
static void repeat_constants(layer *l, const constant values[CONSTANTS], uint32_t flip) {
  const constant *constants[CONSTANTS] = {l->repeated[0], l->repeated[1], l->repeated[2]};
  for (uint32_t i = 0; i < CONSTANTS; i++) {
    for (uint32_t c = 0; c < CHUNK; c++) {
      l->repeated[i][c] = values[i];
    }
  }
  l->flip[0] = l->flip[1] = 0u - (flip & 1u);
  l->per_channel = 0;
  l->to.pixel_bytes = dqnn_bytes_along(l->to.type, CHUNK);
  set_constants(l, constants, l->flip);
}

/* The constants of an epilogue as `per_channel` says. */
static void read_constants(const dqnn_call *call, int per_channel, layer *l) {
  if (per_channel) {
    use_channels(call, l);
    return;
  }
  constant values[CONSTANTS] = {{0}, {0}, {0}};
  for (uint32_t i = 0; i < CONSTANTS && i < call->constant_count; i++) {
    values[i] = *(const constant *)call->constants[i];
  }
  for (uint32_t c = 0; l->to.rule.requant == DQNN_REQUANT_FIXED64 && c < CHUNK; c++) {
    l->repeated64[c] = *(const int64_t *)call->constants[0];
  }
  l->to.rule.offset64 = l->repeated64;
  int flips = call->out_def->dtype == DQNN_S1 && call->constant_count > 1;
  repeat_constants(l, values, flips ? (uint32_t)values[1].integer : 0);
}

static void read_affine(const dqnn_call *call, layer *l) {
  const dqnn_channel_params *p = (const dqnn_channel_params *)call->params;
  read_layer(call, !p->per_channel && call->in_def[0]->dtype != DQNN_S1, p->requant, p->act_min, p->act_max, l);
  read_constants(call, p->per_channel, l);
}
