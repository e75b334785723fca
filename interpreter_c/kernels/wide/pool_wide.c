/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* maxpool_{s1,s8,f32} and avgpool_{s8,f32}_{s8,f32}: neighbouring channels side by side. */
#include "../../src/kernel.h"

#if DQNN_HAVE_AVX2 || DQNN_HAVE_NEON
#include "../../src/numerics.h"
#include "../pool.h"
#include "vectors.h"

/* Walks the cells of a window row by row; NULL after the last one. */
typedef struct {
  const uint8_t *cell, *row_end, *end;
} walk;

DQNN_INLINE walk walk_of(const dqnn_window *w) {
  return (walk){w->first, w->first + w->columns * w->cell_bytes, w->first + w->rows * w->row_bytes};
}

DQNN_INLINE const uint8_t *next_cell(const dqnn_window *w, walk *at) {
  if (at->cell == at->row_end) {
    at->cell += w->row_bytes - w->columns * w->cell_bytes;
    at->row_end += w->row_bytes;
  }
  const uint8_t *cell = at->cell < at->end ? at->cell : NULL;
  at->cell += w->cell_bytes;
  return cell;
}

/* ---- maximum ---- */

static void max_f32(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  float *to = (float *)(void *)out;
  uint32_t c = 0;
  (void)call;
  for (; c + LANES <= units; c += LANES) {
    v_float most = load_float((const float *)(const void *)w->first + c);
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      most = larger_float(most, load_float((const float *)(const void *)cell + c));
    }
    store_float(to + c, most);
  }
  for (; c < units; c++) {
    float most = ((const float *)(const void *)w->first)[c];
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      float value = ((const float *)(const void *)cell)[c];
      most = most < value ? value : most;
    }
    to[c] = most;
  }
}

static void max_s8(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  uint32_t c = 0;
  (void)call;
  for (; c + sizeof(v_bytes) <= units; c += (uint32_t)sizeof(v_bytes)) {
    v_bytes most = *(const v_bytes_at *)(w->first + c);
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      most = larger_bytes(most, *(const v_bytes_at *)(cell + c));
    }
    *(v_bytes_at *)(out + c) = most;
  }
  for (; c < units; c++) {
    int8_t most = INT8_MIN;
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      int8_t value = ((const int8_t *)cell)[c];
      if (most < value) {
        most = value;
      }
    }
    out[c] = (uint8_t)most;
  }
}

/* +1 is a 0: the maximum is -1 where all are. */
static void max_s1(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  (void)call;
  for (uint32_t i = 0; i < units; i++) {
    uint32_t all = ~0u;
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      all &= ((const uint32_t *)(const void *)cell)[i];
    }
    ((uint32_t *)(void *)out)[i] = all;
  }
}

void WIDE(dqnn_run_maxpool_s1)(const dqnn_call *call) {
  dqnn_run_pool(call, max_s1, 4, 4, 1);
}
void WIDE(dqnn_run_maxpool_s8)(const dqnn_call *call) {
  dqnn_run_pool(call, max_s8, 1, 1, 0);
}
void WIDE(dqnn_run_maxpool_f32)(const dqnn_call *call) {
  dqnn_run_pool(call, max_f32, 4, 4, 0);
}

/* ---- average ---- */

/* `count` (at most LANES) elements from channel c of a cell on, as numbers before the scale. */
DQNN_INLINE v_float load_some(const uint8_t *cell, uint32_t c, uint32_t count) {
  float x[LANES] = {0};
  memcpy(x, cell + 4 * c, 4 * count);
  return load_float(x);
}

static v_float sum_f32(const dqnn_window *w, uint32_t c, uint32_t count) {
  v_float sum = {0};
  if (count < LANES) {
    walk at = walk_of(w);
    for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
      sum += load_some(cell, c, count);
    }
    return sum;
  }
  walk at = walk_of(w);
  for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
    sum += load_float((const float *)(const void *)cell + c);
  }
  return sum;
}

static v_float sum_s8(const dqnn_window *w, uint32_t c, uint32_t count, int32_t zero_point) {
  v_int sum = {0};
  walk at = walk_of(w);
  for (const uint8_t *cell = next_cell(w, &at); cell; cell = next_cell(w, &at)) {
    int8_t x[LANES] = {0};
    const int8_t *from = (const int8_t *)cell + c;
    if (count < LANES) {
      memcpy(x, from, count);
      from = x;
    }
    sum += load_s8(from) - zero_point;
  }
  return to_float(sum);
}

static void mean(const dqnn_call *call, const dqnn_window *w, uint32_t units, uint8_t *out) {
  const dqnn_tensor_def *in = call->in_def[0], *def = call->out_def;
  float cells = (float)(w->rows * w->columns), zero_point = (float)def->zero_point;
  for (uint32_t c = 0; c < units; c += LANES) {
    uint32_t count = units - c < LANES ? units - c : LANES;
    v_float sum = in->dtype == DQNN_F32 ? sum_f32(w, c, count) : sum_s8(w, c, count, in->zero_point);
    v_float y = (sum * in->scale) / cells;
    if (def->dtype == DQNN_F32) {
      float value[LANES];
      store_float(value, y);
      memcpy(out + 4 * c, value, 4 * count);
      continue;
    }
    int8_t value[LANES];
    y = larger_float(all_float(-128.0f - zero_point), y * *(const float *)call->constants[0]);
    store_s8(value, round_float(smaller_float(y, all_float(127.0f - zero_point))) + def->zero_point);
    memcpy(out + c, value, count);
  }
}

void WIDE(dqnn_run_avgpool_s8_s8)(const dqnn_call *call) {
  dqnn_run_pool(call, mean, 1, 1, 0);
}
void WIDE(dqnn_run_avgpool_s8_f32)(const dqnn_call *call) {
  dqnn_run_pool(call, mean, 1, 4, 0);
}
void WIDE(dqnn_run_avgpool_f32_s8)(const dqnn_call *call) {
  dqnn_run_pool(call, mean, 4, 1, 0);
}
void WIDE(dqnn_run_avgpool_f32_f32)(const dqnn_call *call) {
  dqnn_run_pool(call, mean, 4, 4, 0);
}
#endif
