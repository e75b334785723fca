/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Runs the nodes of a segment for some rows at a time (SPEC.md section 5), and checks at load that they can: optional,
 * named in dqnn_options.segments.
 *
 * The rule is one function, sweep(). Running and checking differ in what they do with a call alone, so that what was
 * checked is what runs; the check touches no activation, and asks plan() of each kernel about every shape that it has
 * not just seen. Which rows a strip holds follows from what its readers have made: a row that none will read again is
 * dropped at once.
 *
 * What leads to a call of a kernel takes a small part of its time, so all of it is compiled for size (DQNN_RARE). */
#include "segments.h"

#include <string.h>

enum { STEPS_OF_CALL = 8 }; /* what a call costs for each node of its segment, beside its plan() (dqnn_config.h) */

/* Families whose kernels make rows from rows: windows along axis 0, or row by row. */
#define BIT(family) (UINT32_C(1) << DQNN_FAMILY_##family)
static const uint32_t families_of_rows =
    BIT(conv_bitsliced) | BIT(conv) | BIT(depthwise) | BIT(convz) | BIT(depthwisez) | BIT(maxpool) | BIT(avgpool) |
    BIT(avgpool_raw) | BIT(affine) | BIT(lut) | BIT(lut_channels) | BIT(unary) | BIT(prelu) | BIT(softmax) |
    BIT(softmax_fixed) | BIT(layernorm) | BIT(binary) | BIT(binary_fixed);

/* ---- the table ---- */

static DQNN_APART void begin_span(dqnn_span *x, const dqnn_tensor_def *def, uint32_t made) {
  uint32_t rows = def->rows != 0 ? def->rows : def->dims[0];
  *x = (dqnn_span){def, 0, dqnn_bytes_of(def) / rows, 0, (uint16_t)made};
}

/* The span of a tensor that a node reads: written in the segment, or entering it. NULL: too many enter. */
static dqnn_span *span_of(dqnn_segment *s, const dqnn_tensor_def *def) {
  dqnn_span *x = s->spans, *end = &s->spans[s->span_count];
  while (x != end && x->def != def) {
    ++x;
  }
  if (x == end && s->span_count++ < s->count + DQNN_MOST_ENTERING) {
    begin_span(x, def, def->rows != 0 ? 0 : def->dims[0]); /* none is there yet of what is fed */
  }
  return s->span_count <= s->count + DQNN_MOST_ENTERING ? x : NULL;
}

/* Along axis 0: kernel_h, stride_h and so on, in maps of rank 2 kernel_w and so on, as a map of one row has no other
 * axis. False for transposed convolutions. */
static bool read_window(dqnn_segment_node *n, const void *node, uint32_t rank) {
  enum { KERNEL = 0, STRIDE = 2, POOL_PAD = 4, DILATION = 4, CONV_PAD = 6, UP = 8, POOL = 12 }; /* of 16 bits each */
  const uint32_t axis = rank == 3 ? 0 : 1;
  const uint16_t *conv = dqnn_fb_inline(node, DQNN_NODE_conv), *pool = dqnn_fb_inline(node, DQNN_NODE_pool);
  const uint16_t *p = conv != NULL ? conv : pool;
  n->window = n->stride = 1;
  n->pad = n->pad_at = 0;
  n->params_bytes = conv != NULL ? sizeof(dqnn_conv_params) : sizeof(dqnn_pool_params);
  if (p != NULL) {
    p += axis;
    n->window = p[KERNEL];
    n->stride = p[STRIDE];
    n->pad_at = (uint8_t)((conv != NULL ? CONV_PAD : POOL_PAD) + axis);
    n->pad = p[n->pad_at - axis];
  }
  if (conv != NULL) {
    n->window = (p[POOL] - 1u) * n->stride + (n->window - 1) * p[DILATION] + 1;
    n->stride *= p[POOL];
  }
  return conv == NULL || p[UP] == 1;
}

static bool has_rows(const dqnn_tensor_def *def, const dqnn_tensor_def *out) {
  return def->rank == out->rank && (def->rank == 2 || def->rank == 3) && def->dims[0] <= UINT16_MAX;
}

static bool read_node(dqnn_segment *s, uint32_t i) {
  const void *node = dqnn_model_node(s->model, s->begin + i);
  const dqnn_tensor_def *out = s->spans[i].def;
  dqnn_segment_node *n = &s->nodes[i];
  uint32_t inputs;
  const uint16_t *in = dqnn_fb_vector(node, DQNN_NODE_INPUTS, &inputs);
  n->rows = (uint16_t)dqnn_rows_of_call(node);
  n->inputs = (uint8_t)inputs;
  n->shape = 0;
  bool good = read_window(n, node, out->rank) && has_rows(out, out) && n->rows != 0 && inputs - 1 < 2;
  for (uint32_t k = 0; good && k < inputs; ++k) {
    n->in[k] = span_of(s, &s->model->tensors[in[k]]);
    const dqnn_span *x = n->in[k];
    good = x != NULL && (x < &s->spans[i] || x >= &s->spans[s->count]) && /* not what this node or a later one writes */
           has_rows(x->def, out) && (n->pad_at != 0 || x->def->dims[0] == out->dims[0]);
    if (good) {
      n->in[k]->readers |= UINT32_C(1) << i;
    }
  }
  return good;
}

/* Reads what the sweeps need of each node. A node that cannot run for some rows, or the number of nodes. */
static DQNN_RARE uint32_t begin(dqnn_segment *s, const dqnn_model *model, uint32_t first) {
  s->model = model;
  s->begin = first;
  s->count = dqnn_fb_u16(dqnn_model_node(model, first), DQNN_NODE_SEGMENT);
  s->span_count = s->count;
  s->nodes = (void *)&s->spans[s->count + DQNN_MOST_ENTERING];
  for (uint32_t i = 0; i < s->count; ++i) {
    begin_span(&s->spans[i], &model->tensors[dqnn_fb_u16(dqnn_model_node(model, first + i), DQNN_NODE_OUTPUT)], 0);
  }
  uint32_t i = 0;
  while (i < s->count && read_node(s, i)) {
    ++i;
  }
  return i;
}

/* ---- the rule ---- */

static DQNN_APART uint32_t clip(int32_t x, uint32_t most) {
  return x < 0 ? 0 : (uint32_t)x > most ? most : (uint32_t)x;
}

/* First row that the window of output row y reads, perhaps above the map. */
static int32_t top_of(const dqnn_segment_node *n, uint32_t y) {
  return (int32_t)(y * n->stride) - n->pad;
}

/* The first row of a tensor that some node of the segment will read again. */
static uint32_t needed_from(const dqnn_segment *s, const dqnn_span *x) {
  uint32_t least = x->def->dims[0];
  for (uint32_t bits = x->readers, i = 0; bits != 0; bits >>= 1, ++i) {
    const dqnn_span *y = &s->spans[i];
    if ((bits & 1) != 0 && y->made < y->def->dims[0]) {
      least = clip(top_of(&s->nodes[i], y->made), least);
    }
  }
  return least;
}

/* Drops rows at the beginning of a strip that were read for the last time: the rest moves there. */
static void drop(const dqnn_segment *s, dqnn_span *x) {
  if (x->def->rows == 0) {
    return;
  }
  uint32_t from = needed_from(s, x), made = x->made;
  from = from < made ? from : made;
  if (s->arena != NULL && from > x->first) {
    uint8_t *strip = s->arena + x->def->offset;
    memmove(strip, strip + (from - x->first) * x->row_bytes, (made - from) * x->row_bytes);
  }
  x->first = (uint16_t)from;
}

/* Rows that the output of a node can have after a call now. */
static uint32_t can_make(const dqnn_segment_node *n, const dqnn_span *y) {
  uint32_t end = (uint32_t)y->made + n->rows, room = (uint32_t)y->first + y->def->rows;
  end = y->def->rows != 0 && room < end ? room : end;
  end = y->def->dims[0] < end ? y->def->dims[0] : end;
  for (uint32_t k = 0; k < n->inputs; ++k) {
    const dqnn_span *x = n->in[k];
    uint32_t there = (uint32_t)x->made + n->pad;
    if (x->made < x->def->dims[0]) {
      uint32_t whole = there < n->window ? 0 : (there - n->window) / n->stride + 1;
      end = whole < end ? whole : end;
    }
  }
  return end;
}

/* Rows y0 .. y1 of a tensor, as a tensor. */
static DQNN_APART void bind_rows(dqnn_tensor_def *rows, const dqnn_span *x, uint32_t y0, uint32_t y1) {
  *rows = *x->def;
  rows->offset += (y0 - x->first) * x->row_bytes;
  rows->dims[0] = y1 - y0;
  rows->rows = 0;
}

/* The call of node i that makes rows y0 .. y1. */
static DQNN_RARE void bind(dqnn_segment *s, uint32_t i, uint32_t y0, uint32_t y1) {
  const dqnn_segment_node *n = &s->nodes[i];
  const int32_t top = top_of(n, y0), bottom = top_of(n, y1 - 1) + (int32_t)n->window;
  dqnn_model_bind(s->model, s->begin + i, s->arena, s->call);
  for (uint32_t k = 0; k < n->inputs; ++k) {
    const dqnn_span *x = n->in[k];
    bind_rows(&s->in[k], x, clip(top, x->def->dims[0]), clip(bottom, x->def->dims[0]));
    s->call->in_def[k] = &s->in[k];
  }
  bind_rows(&s->out, &s->spans[i], y0, y1);
  s->call->out_def = &s->out;
  if (n->pad_at != 0) {
    const bool conv = n->params_bytes == sizeof s->params.conv;
    const void *node = dqnn_model_node(s->model, s->begin + i);
    memcpy(&s->params, dqnn_fb_inline(node, conv ? DQNN_NODE_conv : DQNN_NODE_pool), n->params_bytes);
    s->params.words[n->pad_at] = (uint16_t)clip(-top, UINT16_MAX);
    s->call->params = &s->params;
  }
}

/* Passes over the nodes, until one makes no row. Each node makes at once what it can. */
DQNN_RARE uint16_t dqnn_segment_sweep(dqnn_segment *s) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (uint32_t i = 0; i < s->count; ++i) {
      const dqnn_segment_node *n = &s->nodes[i];
      dqnn_span *y = &s->spans[i];
      const uint32_t end = can_make(n, y);
      if (end <= y->made) {
        continue;
      }
      bind(s, i, y->made, end);
      const uint16_t failed = s->act(s, i);
      if (failed != 0) {
        return failed;
      }
      moved = true;
      y->made = (uint16_t)end;
      for (uint32_t k = 0; k < n->inputs; ++k) {
        drop(s, n->in[k]);
      }
      drop(s, y); /* rows that no reader wants: strides may leave out the last ones */
    }
  }
  drop(s, &s->spans[s->count]); /* ... and rows of what is fed */
  return 0;
}

/* ---- running ---- */

static DQNN_RARE uint16_t run_call(dqnn_segment *s, uint32_t i) {
  const dqnn_interpreter *it = s->context;
  const uint32_t node = s->begin + i;
  for (uint32_t k = 0; k < s->nodes[i].inputs; ++k) {
    s->call->in[k] = s->arena + s->in[k].offset;
  }
  s->call->out = s->arena + s->out.offset;
  if (s->call->params == NULL) {
    s->call->params = dqnn_params(dqnn_model_node(s->model, node), it->variants[node]->family);
  }
  dqnn_run_call(it, node, s->call);
  return 0;
}

dqnn_segment *dqnn_segment_begin(dqnn_interpreter *it, uint32_t first) {
  dqnn_segment *s = dqnn_segment_of(it);
  s->act = run_call;
  s->context = it;
  s->arena = it->arena;
  (void)begin(s, &it->model, first);
  return s;
}

static uint32_t run(dqnn_interpreter *it, uint32_t first, dqnn_call *call) {
  dqnn_segment *s = dqnn_segment_begin(it, first);
  s->call = call;
  (void)dqnn_segment_sweep(s);
  s->arena = NULL;
  return first + s->count - 1;
}

/* ---- checking ---- */

enum { REFUSED = 0xFFFF }; /* instead of a check: the kernel's, as the checker's status and fault say */

/* The kernel of the call that is bound. */
static uint16_t check_kernel(const dqnn_segment *s, dqnn_checker *c, uint32_t i) {
  c->node = s->begin + i;
  c->status = dqnn_kernel_check(c);
  return c->status == DQNN_OK ? 0 : REFUSED;
}

/* The node as a whole, which decides its variant: rows never want more scratch than the whole map does (kernel.h). */
static uint16_t check_whole(dqnn_segment *s, dqnn_checker *c, uint32_t i) {
  bind(s, i, 0, s->spans[i].def->dims[0]);
  s->out.offset = UINT32_C(1) << 31; /* apart from the inputs: check_places() looks at rows that meet */
  const uint16_t failed = check_kernel(s, c, i);
  if (failed != 0) {
    return failed;
  }
  s->nodes[i].variant = c->variant;
  return (families_of_rows >> c->variant->family & 1) != 0 ? 0 : DQNN_CHECK_segment_call;
}

/* Rows begin at multiples of 16, and those that are written meet none of an entering map that is read now or later. */
static uint16_t check_places(const dqnn_segment *s) {
  uint32_t places = s->out.offset;
  for (uint32_t k = 0; k < s->call->inputs; ++k) {
    places |= s->in[k].offset;
  }
  for (uint32_t k = s->count; k < s->span_count; ++k) {
    const dqnn_span *map = &s->spans[k];
    const uint32_t from = needed_from(s, map), rows = map->def->dims[0] - from;
    if (map->def->rows == 0 &&
        dqnn_overlaps(&s->out, map->def->offset + from * map->row_bytes, rows * map->row_bytes)) {
      return DQNN_CHECK_segment_overlap;
    }
  }
  return places % DQNN_ALIGNMENT == 0 ? 0 : DQNN_CHECK_segment_place;
}

static DQNN_RARE uint16_t check_call(dqnn_segment *s, uint32_t i) {
  dqnn_checker *c = s->context;
  dqnn_segment_node *n = &s->nodes[i];
  const uint16_t pad = n->pad_at != 0 ? s->params.words[n->pad_at] : 0;
  const uint32_t shape = s->in[0].dims[0] << 16 | s->out.dims[0];
  c->node = s->begin + i;
  uint16_t failed = dqnn_pay(c, STEPS_OF_CALL * s->count) ? check_places(s) : DQNN_CHECK_work;
  if (failed != 0 || (n->shape == shape && n->above == pad)) {
    return failed;
  }
  n->shape = shape;
  n->above = pad;
  failed = check_kernel(s, c, i);
  return failed == 0 && c->plan.scratch[n->variant->isa] > s->call->scratch_bytes ? DQNN_CHECK_no_variant : failed;
}

/* Memory of node i beside that of the others: what one writes at any time is apart from what another keeps. A map that
 * enters may meet one that leaves: check_places() looks at their rows. */
static DQNN_RARE uint16_t check_memory(const dqnn_segment *s, uint32_t i) {
  const void *node = dqnn_model_node(s->model, s->begin + i);
  const dqnn_tensor_def *out = s->spans[i].def;
  const uint32_t bytes = dqnn_bytes_of(out);
  for (uint32_t k = 0; k < s->span_count; ++k) {
    const dqnn_tensor_def *other = s->spans[k].def;
    const bool apart = k < s->count ? k < i : (out->rows | other->rows) != 0;
    if (dqnn_overlaps_scratch(other, node) || (apart && dqnn_overlaps(other, out->offset, bytes))) {
      return DQNN_CHECK_segment_overlap;
    }
  }
  return 0;
}

static uint16_t check_node(const dqnn_segment *s, dqnn_checker *c, uint32_t i) {
  if (i > 0 && dqnn_fb_u16(dqnn_model_node(s->model, s->begin + i), DQNN_NODE_SEGMENT) != 0) {
    return DQNN_CHECK_segment_nodes;
  }
  return dqnn_pay(c, STEPS_OF_CALL * s->count) ? check_memory(s, i) : DQNN_CHECK_work;
}

static uint16_t check_entering(const dqnn_segment *s, dqnn_checker *c) {
  uint16_t failed = 0;
  for (uint32_t k = s->count; failed == 0 && k < s->span_count; ++k) {
    const dqnn_tensor_def *def = s->spans[k].def;
    failed = def->rows == 0 ? dqnn_intact_check(c, def, s->begin) : s->head.segments->enter(s, def);
  }
  return failed;
}

/* Outputs of the model are whole. */
static uint16_t check_outputs(const dqnn_model *model) {
  uint32_t rows = 0;
  for (uint32_t i = 0; i < model->output_count; ++i) {
    rows |= model->tensors[dqnn_port_tensor(model->outputs, i)].rows;
  }
  return rows == 0 ? 0 : DQNN_CHECK_tensor_rows;
}

/* All rows were made. */
static uint16_t check_end(const dqnn_segment *s, dqnn_checker *c) {
  for (uint32_t i = 0; i < s->count; ++i) {
    c->node = s->begin + i;
    if (s->spans[i].made != s->spans[i].def->dims[0]) {
      return DQNN_CHECK_segment_stalls;
    }
    if (c->variants != NULL) {
      c->variants[c->node] = s->nodes[i].variant;
    }
  }
  return 0;
}

static uint16_t check_nodes(dqnn_segment *s, dqnn_checker *c) {
  const uint32_t first = c->node, longest = dqnn_fb_u16(c->model->root, DQNN_MODEL_LONGEST_SEGMENT);
  const uint32_t count = dqnn_fb_u16(dqnn_blame(c), DQNN_NODE_SEGMENT);
  uint32_t most = c->model->node_count - first;
  most = longest < most ? longest : most;
  if (count - 1 >= most || count > DQNN_MOST_SEGMENT_NODES) {
    return DQNN_CHECK_segment_nodes;
  }
  const uint32_t read = begin(s, c->model, first);
  if (read != count) {
    c->node = first + read;
    return DQNN_CHECK_segment_call;
  }
  uint16_t failed = check_outputs(c->model);
  if (failed == 0) {
    failed = check_entering(s, c);
  }
  for (uint32_t i = 0; failed == 0 && i < count; ++i) {
    c->node = first + i;
    failed = check_node(s, c, i);
    if (failed == 0) {
      failed = check_whole(s, c, i);
    }
  }
  if (failed == 0) {
    failed = s->head.segments->sweep(s);
  }
  return failed == 0 ? check_end(s, c) : failed;
}

static DQNN_RARE dqnn_status check_with(dqnn_segment *s, dqnn_checker *c) {
  s->head.segments = c->options->segments;
  s->act = check_call;
  s->context = c;
  s->arena = NULL;
  s->call = &c->call;
  const uint16_t failed = check_nodes(s, c);
  if (failed == REFUSED) {
    return c->status;
  }
  (void)dqnn_blame(c);
  c->fault->check = failed;
  return dqnn_status_of(failed);
}

/* dqnn_verify has no state where the table could lie. */
static DQNN_APART dqnn_status check_on_stack(dqnn_checker *c) {
  _Alignas(dqnn_segment) uint8_t table[sizeof(dqnn_segment) + DQNN_MOST_ENTERING * sizeof(dqnn_span) +
                                       DQNN_MOST_SEGMENT_NODES * (sizeof(dqnn_span) + sizeof(dqnn_segment_node))];
  return check_with((dqnn_segment *)(void *)table, c);
}

/* A strip that enters would have to be fed. */
static uint16_t enter(const dqnn_segment *s, const dqnn_tensor_def *def) {
  (void)s, (void)def;
  return DQNN_CHECK_fed_input;
}

/* A file that says it has no segments has no table in its state, and is refused. */
dqnn_status dqnn_segment_check(dqnn_checker *c) {
  return c->variants == NULL || dqnn_fb_u16(c->model->root, DQNN_MODEL_LONGEST_SEGMENT) == 0
             ? check_on_stack(c)
             : check_with((void *)&c->variants[c->model->node_count], c);
}

const dqnn_segments dqnn_strips = {dqnn_segment_check, run, enter, dqnn_segment_sweep};
