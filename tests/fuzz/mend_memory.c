/* See mend.h: a memory plan. Buffers hold one tensor, or one behind the other several that follow in place; each takes
 * the lowest place that is free while it lives. */
#include <string.h>

#include "mend.h"

enum { ALIGNMENT = DQNN_ALIGNMENT, BUFFERS = DRAFT_TENSORS + DRAFT_NODES, FOREVER = DRAFT_NODES + 1 };

/* Alive from before node `first` to after node `last`. */
typedef struct {
  uint32_t offset, bytes, first, last;
  bool placed;
} buffer;

typedef struct {
  draft *d;
  dice *random;
  uint8_t root[DRAFT_TENSORS];    /* the buffer of a tensor: at first that of its own number */
  uint32_t inside[DRAFT_TENSORS]; /* where in it */
  uint32_t last[DRAFT_TENSORS];   /* the last node that reads it, FOREVER for outputs */
  buffer buffers[BUFFERS];        /* behind the tensors' the nodes' scratch */
} job;

static void find_lives(job *j) {
  draft *d = j->d;
  memset(j->last, 0, sizeof j->last);
  for (uint32_t i = 0; i < d->node_count; ++i) {
    for (uint32_t k = 0; k < d->nodes[i].input_count; ++k) {
      j->last[d->same_as[d->nodes[i].inputs[k]]] = i;
    }
    uint32_t out = d->nodes[i].output;
    j->last[out] = j->last[out] > i ? j->last[out] : i;
  }
  for (uint32_t i = 0; i < d->output_count; ++i) {
    j->last[d->same_as[d->outputs[i].tensor]] = FOREVER;
  }
}

static void make_buffers(job *j) {
  draft *d = j->d;
  for (uint32_t t = 0; t < d->tensor_count; ++t) {
    j->root[t] = (uint8_t)t;
    j->inside[t] = 0;
    j->buffers[t] = (buffer){.bytes = mend_bytes(&d->tensors[t]), .first = FOREVER, .last = j->last[t]};
  }
  for (uint32_t i = d->node_count; i-- > 0;) {
    j->buffers[d->nodes[i].output].first = i;
  }
  for (uint32_t i = 0; i < d->input_count; ++i) {
    j->buffers[d->inputs[i].tensor].first = 0;
  }
}

static uint32_t writers(const draft *d, uint32_t tensor) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < d->node_count; ++i) {
    count += d->nodes[i].output == tensor;
  }
  return count;
}

/* Lets tensor `from`, the root of its buffer, live at `at` in the buffer of `into`. */
static void merge(job *j, uint32_t from, uint32_t into, uint32_t at) {
  buffer *a = &j->buffers[j->root[from]], *b = &j->buffers[j->root[into]];
  uint32_t root = j->root[from], end = at + a->bytes;
  b->bytes = b->bytes > end ? b->bytes : end;
  b->first = b->first < a->first ? b->first : a->first;
  b->last = b->last > a->last ? b->last : a->last;
  a->bytes = 0;
  for (uint32_t t = 0; t < j->d->tensor_count; ++t) {
    if (j->root[t] == root) {
      j->root[t] = j->root[into];
      j->inside[t] += at;
    }
  }
}

static bool dies_at(const job *j, uint32_t tensor, uint32_t node) {
  return j->last[tensor] == node && writers(j->d, tensor) <= 1;
}

/* Inputs as parts of the output, as far as they are free. */
static void join_parts(job *j, uint32_t i) {
  const draft_node *node = &j->d->nodes[i];
  uint32_t at = 0;
  for (uint32_t k = 0; k < node->input_count; ++k) {
    uint32_t t = node->inputs[k], bytes = mend_bytes(&j->d->tensors[t]);
    bool once = true;
    for (uint32_t m = 0; m < k; ++m) {
      once = once && node->inputs[m] != t;
    }
    if (once && at % ALIGNMENT == 0 && j->d->same_as[t] == t && j->root[t] == t && j->buffers[t].bytes == bytes &&
        dies_at(j, t, i) && !dice_one_in(j->random, 4)) {
      merge(j, t, node->output, at);
    }
    at += bytes;
  }
}

static void share(job *j, uint32_t i, const dqnn_plan *plan) {
  const draft_node *node = &j->d->nodes[i];
  uint32_t in = j->d->same_as[node->inputs[0]], out = node->output;
  uint32_t a = mend_bytes(&j->d->tensors[in]), b = mend_bytes(&j->d->tensors[out]);
  if (writers(j->d, out) != 1 || j->root[out] != out) {
    return;
  }
  if (plan->parts != 0) {
    join_parts(j, i);
    return;
  }
  bool allowed = a <= plan->overlap_bytes || b <= plan->overlap_bytes;
  for (uint32_t k = 1; k < node->input_count; ++k) {
    allowed = allowed && j->d->same_as[node->inputs[k]] != in;
  }
  if (allowed && dies_at(j, in, i) && !dice_one_in(j->random, 4)) {
    merge(j, out, in, j->inside[in]);
  }
}

enum { MOST_SCRATCH = 16384 }; /* of a variant that a file need not have room for */

/* Scratch for all variants, or exactly what one of them needs; sometimes a little more or too little for that. */
static void make_scratch(job *j, uint32_t i, const dqnn_plan *plan) {
  uint32_t bytes = plan->scratch_bytes, one = plan->scratch[dice_below(j->random, DQNN_ISA_NUMBER)];
  bytes = dice_one_in(j->random, 2) && (one < bytes || one < MOST_SCRATCH) ? one : bytes;
  switch (dice_below(j->random, 32)) {
    case 0:
      bytes += dice_below(j->random, 64);
      break;
    case 1:
      bytes = dice_below(j->random, bytes + 1);
      break;
    default:
      break;
  }
  j->d->nodes[i].scratch_bytes = bytes;
  j->buffers[DRAFT_TENSORS + i] = (buffer){.bytes = bytes, .first = i, .last = i};
}

static bool collides(const buffer *a, const buffer *b) {
  return b->placed && b->bytes != 0 && a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->bytes &&
         b->offset < a->offset + a->bytes;
}

static void place(job *j, buffer *a) {
  a->offset = 0;
  for (uint32_t i = 0; i < BUFFERS; ++i) {
    const buffer *b = &j->buffers[i];
    if (collides(a, b)) {
      a->offset = (b->offset + b->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
      i = (uint32_t)-1; /* once more from the beginning */
    }
  }
  a->placed = true;
}

static uint32_t place_all(job *j) {
  uint32_t end = 0;
  for (uint32_t i = 0; i < BUFFERS; ++i) {
    j->buffers[i].placed = false;
  }
  for (uint32_t i = 0; i < BUFFERS; ++i) {
    buffer *b = &j->buffers[i];
    if (b->bytes != 0) {
      place(j, b);
      end = end > b->offset + b->bytes ? end : b->offset + b->bytes;
    }
  }
  return end;
}

bool mend_memory(draft *d, dice *random) {
  static job j;
  memset(&j, 0, sizeof j);
  j.d = d;
  j.random = random;
  find_lives(&j);
  make_buffers(&j);
  for (uint32_t i = 0; i < d->node_count; ++i) {
    dqnn_plan plan;
    if (!mend_plan(d, &d->nodes[i], &plan) || plan.scratch_bytes > 1u << 20) {
      return false;
    }
    share(&j, i, &plan);
    make_scratch(&j, i, &plan);
  }
  uint32_t end = place_all(&j);
  for (uint32_t t = 0; t < d->tensor_count; ++t) {
    uint32_t source = d->same_as[t];
    d->tensors[t].offset = j.buffers[j.root[source]].offset + j.inside[source];
  }
  for (uint32_t i = 0; i < d->node_count; ++i) {
    d->nodes[i].scratch_offset = j.buffers[DRAFT_TENSORS + i].offset;
  }
  /* A little room behind, so that guards stand between the last tensor and the interpreter's state. */
  d->arena_bytes = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + 4 * ALIGNMENT;
  return true;
}
