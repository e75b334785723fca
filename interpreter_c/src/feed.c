/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Inputs that are fed by rows (SPEC.md section 5): memory holds a strip of the input, the caller fills it as a camera
 * delivers, and the first segment works between the deliveries. Optional, named in dqnn_options.segments.
 *
 * The segment's table lives on from call to call. Its nodes run only when the strip is full or the last row is there:
 * so the calls are those that were checked, however many rows come at a time. A frame begins with the first call after
 * dqnn_invoke has used up the one before; until then table.arena is set. */
#include <string.h>

#include "segments.h"

/* Whether the model is fed: its input is a strip, and the first segment reads it. */
static bool is_fed(const dqnn_interpreter *it) {
  const dqnn_model *model = &it->model;
  return model->node_count != 0 && dqnn_rows_of_call(dqnn_model_node(model, 0)) != 0 && model->input_count == 1 &&
         model->tensors[dqnn_port_tensor(model->inputs, 0)].rows != 0;
}

/* The segment that works on the frame, a new one if need be. NULL: the model is not fed. */
static DQNN_APART dqnn_segment *frame_of(dqnn_interpreter *it) {
  if (it == NULL || !is_fed(it)) {
    return NULL;
  }
  dqnn_segment *s = dqnn_segment_of(it);
  return s->arena != NULL ? s : dqnn_segment_begin(it, 0);
}

/* What is fed: the only tensor that enters the segment. */
static dqnn_span *fed_of(dqnn_segment *s) {
  return &s->spans[s->count];
}

/* Rows that its strip has room for. */
static DQNN_APART uint32_t room_of(const dqnn_segment *s) {
  const dqnn_span *fed = &s->spans[s->count];
  const uint32_t most = (uint32_t)fed->first + fed->def->rows, all = fed->def->dims[0];
  return (most < all ? most : all) - fed->made;
}

/* Where the next row goes. */
static DQNN_APART uint8_t *place_of(dqnn_segment *s) {
  const dqnn_span *fed = fed_of(s);
  return s->arena + fed->def->offset + (uint32_t)(fed->made - fed->first) * fed->row_bytes;
}

dqnn_status dqnn_feed(dqnn_interpreter *it, dqnn_tensor *rows) {
  dqnn_segment *s = frame_of(it);
  if (s == NULL || rows == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  (void)dqnn_input(it, 0, rows);
  rows->data = place_of(s);
  rows->dims[0] = room_of(s);
  rows->bytes = rows->dims[0] * fed_of(s)->row_bytes;
  return DQNN_OK;
}

dqnn_status dqnn_fed(dqnn_interpreter *it, uint32_t rows) {
  dqnn_segment *s = frame_of(it);
  if (s == NULL || rows > room_of(s)) {
    return DQNN_ERROR_ARGUMENT;
  }
  fed_of(s)->made = (uint16_t)(fed_of(s)->made + rows);
  if (rows != 0 && room_of(s) == 0) {
    dqnn_call call;
    s->call = &call;
    (void)dqnn_segment_sweep(s);
  }
  return DQNN_OK;
}

dqnn_status dqnn_feed_rows(dqnn_interpreter *it, const void *rows, uint32_t count) {
  dqnn_segment *s = frame_of(it);
  if (s == NULL || rows == NULL || count > fed_of(s)->def->dims[0] - fed_of(s)->made) {
    return DQNN_ERROR_ARGUMENT;
  }
  const uint8_t *from = rows;
  while (count != 0) {
    const uint32_t room = room_of(s), part = room < count ? room : count;
    const uint32_t bytes = part * fed_of(s)->row_bytes;
    memcpy(place_of(s), from, bytes);
    (void)dqnn_fed(it, part);
    from += bytes;
    count -= part;
  }
  return DQNN_OK;
}

dqnn_status dqnn_feed_anew(dqnn_interpreter *it) {
  dqnn_segment *s = frame_of(it);
  if (s == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  s->arena = NULL;
  return DQNN_OK;
}

/* What was fed has been computed already: dqnn_invoke goes on behind it. */
static DQNN_RARE uint32_t run(dqnn_interpreter *it, uint32_t first, dqnn_call *call) {
  if (first != 0 || !is_fed(it)) {
    return dqnn_strips.run(it, first, call);
  }
  dqnn_segment *s = dqnn_segment_of(it);
  if (s->arena == NULL || fed_of(s)->made != fed_of(s)->def->dims[0]) {
    return DQNN_STOP(DQNN_ERROR_NO_INPUT);
  }
  s->arena = NULL;
  return s->count - 1;
}

/* The strip is the only input of the model, which the first segment alone reads: other nodes are refused strips. */
static DQNN_RARE uint16_t enter(const dqnn_segment *s, const dqnn_tensor_def *strip) {
  const dqnn_model *model = s->model;
  const bool fed =
      s->begin == 0 && model->input_count == 1 && strip == &model->tensors[dqnn_port_tensor(model->inputs, 0)];
  return fed ? 0 : DQNN_CHECK_tensor_rows;
}

/* Checks all calls, while the strip, if there is one, is filled whenever none is left. */
static DQNN_RARE uint16_t sweep(dqnn_segment *s) {
  dqnn_span *fed = fed_of(s);
  uint16_t failed = dqnn_segment_sweep(s);
  while (failed == 0 && fed->def->rows != 0 && room_of(s) != 0) {
    fed->made = (uint16_t)(fed->made + room_of(s));
    failed = dqnn_segment_sweep(s);
  }
  return failed == 0 && fed->made != fed->def->dims[0] ? DQNN_CHECK_segment_stalls : failed;
}

const dqnn_segments dqnn_fed_strips = {dqnn_segment_check, run, enter, sweep};
