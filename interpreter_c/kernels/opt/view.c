/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* view_{s1,s8,f32}, a row of the output's last axis at a time: runs of memory where neighbours stay neighbours, else
 * one element after the other from an address that moves by a constant. Rows are written in order, each from its start,
 * so that the output may lie on the input as plan allows. */
#include <string.h>

#include "../../isa/isa.h"
#include "../map.h"

#if DQNN_HAVE_PORTABLE

enum { LEADING = 3 /* dimensions before the last */ };

/* Next row of a tensor, the last of the leading dimensions counting fastest. */
static void next_row(const dqnn_tensor_def *def, uint32_t *at) {
  for (uint32_t k = def->rank - 1u; k-- > 0;) {
    if (++at[k] < def->dims[k]) {
      return;
    }
    at[k] = 0;
  }
}

/* Where an output index comes from: rows and elements of the input's rows. */
typedef struct {
  uint32_t row, element;
} place;

/* Rows per step of input axis k; 0 for the last axis, whose steps are elements. */
static uint32_t rows_per_step(const dqnn_tensor_def *in, uint32_t axis) {
  uint32_t rows = axis + 1u < in->rank ? 1 : 0;
  for (uint32_t k = axis + 1; k + 1u < in->rank; k++) {
    rows *= in->dims[k];
  }
  return rows;
}

/* Adds what output index i of axis k contributes. */
static void move(const dqnn_call *call, uint32_t k, uint32_t i, place *from) {
  const dqnn_view_params *p = (const dqnn_view_params *)call->params;
  uint32_t index = p->start[k] + i / p->repeat[k] * p->step[k], rows = rows_per_step(call->in_def[0], p->axis[k]);
  from->row += index * rows;
  from->element += rows == 0 ? index : 0;
}

static void copy_bits(uint32_t *to, const uint32_t *from, uint32_t first, uint32_t count) {
  for (uint32_t done = 0; done < count; done += 32) {
    uint32_t part = count - done < 32 ? count - done : 32;
    *to++ = dqnn_read_bits(from, first + done, part);
  }
}

/* `count` elements, each `repeat` times, from an address that moves by `step` elements. */
static void gather_words(uint32_t *to, const uint32_t *from, uint32_t count, uint32_t repeat, uint32_t step) {
  for (uint32_t i = 0, same = repeat; i < count; i++) {
    memcpy(to++, from, 4); /* of floats */
    if (--same == 0) {
      from += step;
      same = repeat;
    }
  }
}

static void gather_bytes(uint8_t *to, const uint8_t *from, uint32_t count, uint32_t repeat, uint32_t step) {
  for (uint32_t i = 0, same = repeat; i < count; i++) {
    *to++ = *from;
    if (--same == 0) {
      from += step;
      same = repeat;
    }
  }
}

/* The same with bits, whose address moves by words or by bits of a row. */
static void gather_bits(uint32_t *to, const uint32_t *from, uint32_t bit, uint32_t count, uint32_t repeat,
                        uint32_t words, uint32_t step) {
  uint32_t word = 0, same = repeat;
  for (uint32_t i = 0; i < count; i++) {
    word |= (from[bit / 32] >> bit % 32 & 1u) << i % 32;
    if (i % 32 == 31 || i + 1 == count) {
      *to++ = word;
      word = 0;
    }
    if (--same == 0) {
      from += words;
      bit += step;
      same = repeat;
    }
  }
}

/* The last axis of a view: elements from the start of an input row on. */
typedef struct {
  uint32_t count, repeat, rows, elements; /* rows, elements: how far a step goes, one of them 0 */
} line;

static void view_line(const dqnn_tensor_def *in, const line *l, const uint8_t *row, uint32_t first, uint8_t *to) {
  uint32_t pitch = dqnn_row_bytes(in);
  int neighbours = l->elements == 1 && l->repeat == 1;
  if (in->dtype == DQNN_S1 && neighbours) {
    copy_bits((uint32_t *)(void *)to, (const uint32_t *)(const void *)row, first, l->count);
  } else if (in->dtype == DQNN_S1) {
    gather_bits((uint32_t *)(void *)to, (const uint32_t *)(const void *)row, first, l->count, l->repeat,
                l->rows * (pitch / 4), l->elements);
  } else if (neighbours) {
    uint32_t size = in->dtype == DQNN_S8 ? 1 : 4;
    memmove(to, row + first * size, l->count * size);
  } else if (in->dtype == DQNN_S8) {
    gather_bytes(to, row + first, l->count, l->repeat, l->rows * pitch + l->elements);
  } else {
    gather_words((uint32_t *)(void *)to, (const uint32_t *)(const void *)row + first, l->count, l->repeat,
                 l->rows * (pitch / 4) + l->elements);
  }
}

static void run_view(const dqnn_call *call) {
  const dqnn_view_params *p = (const dqnn_view_params *)call->params;
  const dqnn_tensor_def *in = call->in_def[0], *out = call->out_def;
  uint32_t last = out->rank - 1u, rows = dqnn_rows(out), across = rows_per_step(in, p->axis[last]);
  line l = {dqnn_last(out), p->repeat[last], across * p->step[last], across == 0 ? p->step[last] : 0};
  uint32_t at[LEADING] = {0, 0, 0};
  uint8_t *to = (uint8_t *)call->out;
  for (uint32_t r = 0; r < rows; r++, to += dqnn_row_bytes(out)) {
    place from = {0, 0};
    for (uint32_t k = 0; k < last; k++) {
      move(call, k, at[k], &from);
    }
    move(call, last, 0, &from);
    view_line(in, &l, (const uint8_t *)call->in[0] + from.row * dqnn_row_bytes(in), from.element, to);
    next_row(out, at);
  }
}

void dqnn_run_view_s1_portable(const dqnn_call *call) {
  run_view(call);
}
DQNN_SAME_RUN(dqnn_run_view_s8_portable, dqnn_run_view_s1_portable)
DQNN_SAME_RUN(dqnn_run_view_f32_portable, dqnn_run_view_s1_portable)
#endif
