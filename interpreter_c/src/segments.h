/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* A segment: consecutive nodes that make some rows at a time, so that what passes between them exists as strips of a
 * few rows. SPEC.md section 5 is the rule, segments.c keeps it. Here is the table that it works with, for one segment
 * at a time: it lies in the interpreter's state, behind the variants. */
#ifndef DQNN_SEGMENTS_H
#define DQNN_SEGMENTS_H

#include "model.h"

enum { DQNN_MOST_SEGMENT_NODES = 32, DQNN_MOST_ENTERING = 8 };

/* A tensor of the segment. Rows first <= y < made are in memory. */
typedef struct {
  const dqnn_tensor_def *def;
  uint32_t readers; /* bit i: node i of the segment */
  uint32_t row_bytes;
  uint16_t first, made;
} dqnn_span;

/* A node of the segment: how it walks along axis 0, a fused pool included. */
typedef struct {
  dqnn_span *in[2];
  const dqnn_variant *variant; /* while checking */
  uint32_t window, stride;
  uint8_t inputs, params_bytes;
  uint8_t pad_at; /* number of 16 bits in its parameters that holds the padding; 0: they do not depend on the rows */
  uint16_t pad, rows; /* rows above the first, most rows of a call */
  uint16_t above;     /* while checking: padding of the call that plan() saw last, ... */
  uint32_t shape;     /* ... and its rows in and out, of 16 bits each */
} dqnn_segment_node;

struct dqnn_segment {
  dqnn_segment_head head;
  const dqnn_model *model;
  uint16_t (*act)(dqnn_segment *segment, uint32_t i); /* runs the call of node i, or checks it: which check failed */
  void *context;                                      /* the interpreter, or the checker */
  uint8_t *arena;                                     /* NULL: checking, or none is at work */
  uint32_t begin, count, span_count;
  dqnn_segment_node *nodes; /* behind the spans */
  dqnn_call *call;          /* the call at work, with these copies of what is other than in the file */
  dqnn_tensor_def in[2], out;
  union {
    dqnn_conv_params conv;
    dqnn_pool_params pool;
    uint16_t words[sizeof(dqnn_conv_params) / 2];
  } params;
  dqnn_span spans[]; /* the output of each node, then what enters */
};

static inline dqnn_segment *dqnn_segment_of(dqnn_interpreter *it) {
  return (dqnn_segment *)(void *)&it->variants[it->model.node_count];
}

/* Of the segment that begins at node `first`: nothing is made yet. Its caller sets `call` before it sweeps. */
dqnn_segment *dqnn_segment_begin(dqnn_interpreter *it, uint32_t first);

/* Runs (or checks) whatever calls can be made now; 0, or the check that failed. */
uint16_t dqnn_segment_sweep(dqnn_segment *s);

/* dqnn_segments.check; options.segments says what of a strip that is fed. */
dqnn_status dqnn_segment_check(dqnn_checker *c);

/* Bytes of the table for a segment of so many nodes. */
static inline uint32_t dqnn_segment_bytes(uint32_t nodes) {
  return (uint32_t)(sizeof(dqnn_segment) + DQNN_MOST_ENTERING * sizeof(dqnn_span) +
                    nodes * (sizeof(dqnn_span) + sizeof(dqnn_segment_node)));
}

#endif
