/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The weight layouts of SPEC.md 3.3: where the weight of output o (of all), kernel cell (ky, kx) and channel i (of the
 * group) lies. */
#ifndef DQNN_REF_WEIGHTS_H
#define DQNN_REF_WEIGHTS_H

#include "../map.h"
#include "bits.h"

typedef enum {
  REF_HORIZONTAL,     /* convh_s1_s1_*  */
  REF_BITSLICED,      /* conv_s1_s1_* */
  REF_CHANNEL_BLOCKS, /* conv_{s8,f32}_s1_* */
  REF_PAIRS,          /* conv_{s8,s1}_s8_* */
  REF_QUADS_S8,       /* conv_f32_s8_* */
  REF_QUADS_F32,      /* conv_*_f32_* */
  REF_DEPTHWISE_BITS,
  REF_DEPTHWISE_S8,
  REF_DEPTHWISE_F32
} ref_layout;

typedef struct {
  const dqnn_conv *conv;
  const void *data;
  uint32_t o, ky, kx, i;
} ref_weight;

static inline uint32_t ref_kernel_cell(const ref_weight *w) {
  return w->ky * w->conv->params->kernel_w + w->kx;
}

static inline uint32_t ref_kernel_cells(const dqnn_conv *v) {
  return (uint32_t)v->params->kernel_h * v->params->kernel_w;
}

/* u32 w[groups][Og][kh][kw][CW]; group and output within it are one index */
static inline uint32_t ref_horizontal_bit(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  const uint32_t *row =
      (const uint32_t *)w->data + (w->o * ref_kernel_cells(v) + ref_kernel_cell(w)) * dqnn_words(v->group_in);
  return ref_bit(row, w->i);
}

/* u32 w[groups][ceil(Og/32)][kw][kh*Cg + 1], lane = output % 32 */
static inline uint32_t ref_bitsliced_bit(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  uint32_t group = w->o / v->group_out, output = w->o % v->group_out;
  uint32_t block = group * dqnn_words(v->group_out) + output / 32;
  uint32_t column = block * v->params->kernel_w + w->kx;
  uint32_t row = w->ky * v->group_in + w->i;
  return ((const uint32_t *)w->data)[column * (v->params->kernel_h * v->group_in + 1) + row] >> output % 32 & 1u;
}

/* bytes w[groups][ceil(Cg/8)][Og][ceil(kh*kw*b/8)] */
static inline uint32_t ref_channel_block_bit(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  uint32_t cells = ref_kernel_cells(v), whole = v->group_in / 8, rest = v->group_in % 8;
  uint32_t rest_bytes = (cells * rest + 7) / 8;
  uint32_t block = w->i / 8, in_block = block < whole ? 8 : rest;
  uint32_t block_bytes = block < whole ? cells : rest_bytes;
  const uint8_t *group = (const uint8_t *)w->data + w->o / v->group_out * (v->group_out * (whole * cells + rest_bytes));
  const uint8_t *output = group + block * v->group_out * cells + w->o % v->group_out * block_bytes;
  uint32_t bit = ref_kernel_cell(w) * in_block + w->i % 8;
  return (uint32_t)output[bit / 8] >> bit % 8 & 1u;
}

/* Where a tap stands among those of its window: odd kernel rows leave their last element for the end. */
static inline uint32_t ref_tap_of_pairs(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  uint32_t row = v->params->kernel_w * v->group_in, even = row & ~1u;
  uint32_t element = w->kx * v->group_in + w->i;
  return element < even ? w->ky * even + element : v->params->kernel_h * even + w->ky;
}

static inline uint32_t ref_pairs(const dqnn_conv *v) {
  return (ref_kernel_cells(v) * v->group_in + 1) / 2;
}

/* 4 bytes w[groups][ceil(Og/2)][ceil(K/2)] = (a.k0, b.k0, a.k1, b.k1) */
static inline int32_t ref_pair_weight(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  uint32_t k = ref_tap_of_pairs(w), pairs = ref_pairs(v);
  uint32_t output = w->o % v->group_out;
  uint32_t pair_of_outputs = w->o / v->group_out * ((v->group_out + 1) / 2) + output / 2;
  return ((const int8_t *)w->data)[(pair_of_outputs * pairs + k / 2) * 4 + k % 2 * 2 + output % 2];
}

/* w[groups][ceil(Og/4)][kh][kw][Cg][4] */
static inline uint32_t ref_quad_index(const ref_weight *w) {
  const dqnn_conv *v = w->conv;
  uint32_t output = w->o % v->group_out;
  uint32_t quad = w->o / v->group_out * ((v->group_out + 3) / 4) + output / 4;
  return ((quad * ref_kernel_cells(v) + ref_kernel_cell(w)) * v->group_in + w->i) * 4 + output % 4;
}

/* u32 w[ceil(Co/32)][kh*kw], lane = output % 32 */
static inline uint32_t ref_depthwise_bit(const ref_weight *w) {
  return ((const uint32_t *)w->data)[w->o / 32 * ref_kernel_cells(w->conv) + ref_kernel_cell(w)] >> w->o % 32 & 1u;
}

/* w[kh*kw][Co] */
static inline uint32_t ref_depthwise_index(const ref_weight *w) {
  return ref_kernel_cell(w) * w->conv->out_c + w->o;
}

/* Bit at which a weight of few bits begins: u32 w[groups][ceil(Og/4)][ceil(pairs*bits/4)]. Pair j of a word has its
 * taps in the halves of the word, four outputs side by side from bit 4*bits*j on. Where channels come in fours the taps
 * of each four stand in the order 0, 2, 1, 3. */
static inline uint32_t ref_packed_pair_bit(const ref_weight *w, uint32_t bits) {
  const dqnn_conv *v = w->conv;
  uint32_t k = ref_tap_of_pairs(w), turned = (k & ~3u) | (k & 1u) << 1 | (k >> 1 & 1u);
  uint32_t tap = v->group_in % 4 == 0 ? turned : k, pair = tap / 2;
  uint32_t twos = bits == 2, words = (ref_pairs(v) + twos) >> twos; /* a word has one pair or two; of an output */
  uint32_t output = w->o % v->group_out, quad = w->o / v->group_out * ((v->group_out + 3) / 4) + output / 4;
  uint32_t word = quad * words + (pair >> twos);
  return 32 * word + 16 * (tap % 2) + bits * (4 * (pair & twos) + output % 4);
}

/* bytes w[kh*kw][ceil(Co*bits/8)] */
static inline uint32_t ref_packed_depthwise_bit(const ref_weight *w, uint32_t bits) {
  return ref_kernel_cell(w) * ((w->conv->out_c * bits + 7) / 8 * 8) + w->o * bits;
}

/* s1 and s8 weights as integers; half_weights is up to the caller. */
int32_t ref_int_weight(const ref_weight *w, ref_layout layout);

static inline float ref_float_weight(const ref_weight *w, ref_layout layout) {
  return ((const float *)w->data)[layout == REF_QUADS_F32 ? ref_quad_index(w) : ref_depthwise_index(w)];
}

#endif
