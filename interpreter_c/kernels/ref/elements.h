/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Tensors element by element, whatever their type: reading as numbers or as they are stored, writing in order, walking
 * all rows. */
#ifndef DQNN_REF_ELEMENTS_H
#define DQNN_REF_ELEMENTS_H

#include <string.h>

#include "../map.h"
#include "bits.h"

/* Element i of row r of the last axis as an integer: s1 +1/-1, s8 stored - zero_point. */
static inline int32_t ref_integer(const dqnn_tensor_def *def, const void *data, uint32_t row, uint32_t i) {
  uint32_t last = dqnn_last(def);
  if (def->dtype == DQNN_S1) {
    return ref_sign(ref_bit((const uint32_t *)data + row * dqnn_words(last), i));
  }
  return ((const int8_t *)data)[row * last + i] - def->zero_point;
}

static inline float ref_float(const dqnn_tensor_def *def, const void *data, uint32_t row, uint32_t i) {
  return ((const float *)data)[row * dqnn_last(def) + i];
}

/* The real number an element stands for. */
static inline float ref_real(const dqnn_tensor_def *def, const void *data, uint32_t row, uint32_t i) {
  return def->dtype == DQNN_F32 ? ref_float(def, data, row, i) : (float)ref_integer(def, data, row, i) * def->scale;
}

/* As stored: a bit, a byte, or the bits of a float. */
static inline uint32_t ref_raw(const dqnn_tensor_def *def, const void *data, uint32_t row, uint32_t i) {
  uint32_t last = dqnn_last(def), bits;
  if (def->dtype == DQNN_S1) {
    return ref_bit((const uint32_t *)data + row * dqnn_words(last), i);
  }
  if (def->dtype == DQNN_S8) {
    return ((const uint8_t *)data)[row * last + i];
  }
  memcpy(&bits, (const float *)data + row * last + i, sizeof bits);
  return bits;
}

/* Appends stored elements in order. */
typedef struct {
  ref_bit_writer bits;
  uint8_t *bytes;
  uint8_t dtype;
} ref_raw_writer;

static inline ref_raw_writer ref_raw_writer_of(const dqnn_call *call) {
  return (ref_raw_writer){{(uint32_t *)call->out, 0, 0}, (uint8_t *)call->out, call->out_def->dtype};
}

static inline void ref_put_raw(ref_raw_writer *writer, uint32_t raw) {
  if (writer->dtype == DQNN_S1) {
    ref_put_bit(&writer->bits, raw);
  } else if (writer->dtype == DQNN_S8) {
    *writer->bytes++ = (uint8_t)raw;
  } else {
    memcpy(writer->bytes, &raw, sizeof raw);
    writer->bytes += sizeof raw;
  }
}

static inline void ref_end_raw_row(ref_raw_writer *writer) {
  ref_end_row(&writer->bits);
}

/* A value as it is stored in a tensor of that type: s1 +1/-1, s8 its code, f32 its bits. */
static inline uint32_t ref_raw_of(float value, uint8_t dtype) {
  uint32_t bits;
  if (dtype == DQNN_S1) {
    return value < 0.0f ? 1 : 0;
  }
  if (dtype == DQNN_S8) {
    return (uint32_t)(int32_t)value;
  }
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* Index of an output element; the last axis counts fastest. */
typedef struct {
  uint32_t i[4];
} ref_index;

/* Next element; 0 after the last one. */
static inline int ref_next(const dqnn_tensor_def *def, ref_index *index) {
  for (uint32_t k = def->rank; k-- > 0;) {
    if (++index->i[k] < def->dims[k]) {
      return 1;
    }
    index->i[k] = 0;
  }
  return 0;
}

static inline int ref_row_ends(const dqnn_tensor_def *def, const ref_index *index) {
  return index->i[def->rank - 1] + 1 == dqnn_last(def);
}

/* Number of the row that holds an element. */
static inline uint32_t ref_row_of(const dqnn_tensor_def *def, const ref_index *index) {
  uint32_t row = 0;
  for (uint32_t k = 0; k + 1 < def->rank; ++k) {
    row = row * def->dims[k] + index->i[k];
  }
  return row;
}

#endif
