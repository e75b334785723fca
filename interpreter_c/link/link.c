/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The requests of schema/LINK.md. One frame buffer holds the request and then, written over it, the answer; a request
 * that changes something keeps its short answer besides, so that a repetition is answered without doing it again. */
#include "dqnn/dqnn_link.h"

#include <string.h>

#include "../src/model.h"
#include "frames.h"

enum { HELLO = 1, MODEL, NODES, WRITE, INVOKE, READ, RESET, SLOT, BEGIN, BLOCK, VERIFY, ACTIVATE, CONFIRM, ROLLBACK };

enum { ANSWER = 0x80, TRACED = 0xFFFF, TRACKED_INPUTS = 32, NAME_CHARACTERS = 20, CAN_RESET = 1 };
enum { HAS_TICKS = 1, KEEPS_INPUTS = 2 };

/* Both directions. In a request `status` is the index and `value` the offset. */
typedef struct {
  uint8_t command, sequence;
  union {
    uint16_t index, status;
  };
  union {
    uint32_t offset, value;
  };
} header;

typedef struct {
  uint16_t protocol, frame_bytes;
  uint32_t requests, dropped, clock_hz, memory_bytes, file_bytes;
  uint16_t block_bytes, slots, format_version, runtime_version, flags, reserved;
  uint32_t isas, kernels[6];
} hello_block; /* then core and board, each with its zero */

typedef struct {
  uint16_t status, node, kernel, tensor, check, model_version;
  uint32_t file_bytes, prefix_crc, model_id, arena_bytes, state_bytes, spare_bytes;
  uint16_t nodes, inputs, outputs, flags;
} model_block; /* then the model's name with its zero */

typedef struct {
  uint64_t ticks;
  uint16_t kernel;
  uint8_t isa, reserved[5];
} node_block;

/* A request, and its answer: `data` holds the bytes that came and then, over them, those that go. */
typedef struct {
  header head;
  uint8_t *data;
  uint32_t bytes, answered, room;
} request;

_Static_assert(sizeof(header) == 8 && sizeof(hello_block) == 64 && sizeof(model_block) == 44, "as in LINK.md");
_Static_assert(sizeof(node_block) == 16 && sizeof(dqnn_slot_info) == 24 && sizeof(dqnn_fault) == 8, "as in LINK.md");

typedef dqnn_status (*handler)(dqnn_link *link, request *r);

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

static void answer(request *r, const void *data, uint32_t bytes) {
  memcpy(r->data + r->answered, data, bytes);
  r->answered += bytes;
}

/* Text with its zero, cut to what there is room for. */
static void answer_text(request *r, const char *text, uint32_t most) {
  uint32_t n = 0;
  text = text != NULL ? text : "";
  most = least(most, r->room - r->answered - 1);
  while (n < most && text[n] != 0) {
    ++n;
  }
  answer(r, text, n);
  r->data[r->answered++] = 0;
}

/* ---- running ---- */

static uint32_t clock_now(const dqnn_link *link) {
  return link->config->clock != NULL ? link->config->clock(link->config->context) : 0;
}

/* The clock's ticks since it was last read. */
static uint32_t elapsed(dqnn_link *link) {
  uint32_t now = clock_now(link), ticks = now - link->run.since;
  link->run.since = now;
  link->run.ticks += ticks;
  return ticks;
}

/* Copies what there is room for of the traced node's output; if the node runs for some rows at a time, of these. */
static void capture(dqnn_link *link) {
  dqnn_node_info node;
  dqnn_tensor tensor, rows;
  uint32_t first;
  (void)dqnn_node(link->it, link->run.traced, &node);
  (void)dqnn_tensor_at(link->it, node.output, &tensor);
  (void)dqnn_rows_made(link->it, link->run.traced, &first, &rows);
  const uint32_t row_bytes = rows.bytes / rows.dims[0]; /* bits of a vector have none, but no rows either */
  const uint32_t whole = rows.dims[0] == tensor.dims[0] ? rows.bytes : row_bytes * tensor.dims[0];
  const uint32_t begin = least(link->run.offset, whole), end = begin + least(whole - begin, link->model.spare_bytes);
  uint32_t from = first * row_bytes, to = least(from + rows.bytes, end);
  const uint8_t *data = rows.data;
  link->run.whole = whole;
  link->run.captured = end - begin;
  if (from < begin) {
    data += begin - from;
    from = begin;
  }
  if (from < to) {
    memcpy(link->model.spare + (from - begin), data, to - from);
  }
}

/* The profile hook. What it takes itself falls between nodes. */
static void on_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  dqnn_link *link = context;
  uint32_t ticks = elapsed(link);
  if (!begin) {
    if (link->model.ticks != NULL) {
      link->model.ticks[node] += ticks;
    }
    if (node == link->run.traced) {
      capture(link);
    }
  }
  const dqnn_options *options = link->config->options;
  if (options->profile != NULL) {
    options->profile(options->profile_context, node, kernel, begin);
  }
  (void)elapsed(link);
}

/* Where input i is kept between runs: its copy, or the tensor itself. */
static dqnn_tensor input_place(const dqnn_link *link, uint32_t i, uint8_t **place) {
  dqnn_tensor tensor;
  uint32_t before = 0;
  for (uint32_t k = 0; k < i && link->model.copies != NULL; ++k) {
    (void)dqnn_input(link->it, k, &tensor);
    before += tensor.bytes;
  }
  (void)dqnn_input(link->it, i, &tensor);
  *place = link->model.copies != NULL ? link->model.copies + before : tensor.data;
  return tensor;
}

static uint32_t all_inputs(const dqnn_link *link) {
  return link->model.inputs < TRACKED_INPUTS ? (1u << link->model.inputs) - 1 : UINT32_MAX;
}

static dqnn_status on_write(dqnn_link *link, request *r) {
  uint32_t i = r->head.index, offset = r->head.offset;
  if (link->it == NULL) {
    return DQNN_ERROR_NO_MODEL;
  }
  if (i >= link->model.inputs) {
    return DQNN_ERROR_RANGE;
  }
  uint8_t *place;
  dqnn_tensor tensor = input_place(link, i, &place);
  if (offset > tensor.bytes || r->bytes > tensor.bytes - offset) {
    return DQNN_ERROR_RANGE;
  }
  memcpy(place + offset, r->data, r->bytes);
  if (offset + r->bytes == tensor.bytes && i < TRACKED_INPUTS) {
    link->model.written |= 1u << i; /* parts come in order */
  }
  r->head.value = tensor.bytes;
  return DQNN_OK;
}

static void invoke_once(dqnn_link *link) {
  for (uint32_t i = 0; i < link->model.inputs && link->model.copies != NULL; ++i) {
    uint8_t *place;
    dqnn_tensor tensor = input_place(link, i, &place);
    memcpy(tensor.data, place, tensor.bytes);
  }
  link->run.since = clock_now(link);
  (void)dqnn_invoke(link->it);
  (void)elapsed(link);
}

static dqnn_status on_invoke(dqnn_link *link, request *r) {
  uint32_t runs;
  if (link->it == NULL) {
    return DQNN_ERROR_NO_MODEL;
  }
  if (r->bytes != sizeof runs) {
    return DQNN_ERROR_RANGE;
  }
  memcpy(&runs, r->data, sizeof runs);
  if ((link->model.written & all_inputs(link)) != all_inputs(link) || (runs != 1 && link->model.copies == NULL)) {
    return DQNN_ERROR_NO_INPUT;
  }
  link->run.ticks = 0;
  link->run.traced = r->head.index != TRACED ? r->head.index : UINT32_MAX;
  link->run.offset = r->head.offset;
  link->run.captured = link->run.whole = 0;
  if (link->model.ticks != NULL) {
    memset(link->model.ticks, 0, link->model.nodes * sizeof *link->model.ticks);
  }
  for (uint32_t i = 0; i < runs; ++i) {
    invoke_once(link);
  }
  if (link->model.copies == NULL) {
    link->model.written = 0;
  }
  r->head.value = link->run.captured;
  answer(r, &link->run.ticks, sizeof link->run.ticks);
  return DQNN_OK;
}

static dqnn_status on_read(dqnn_link *link, request *r) {
  uint16_t bytes;
  uint32_t offset = r->head.offset;
  if (link->it == NULL) {
    return DQNN_ERROR_NO_MODEL;
  }
  if (r->bytes != sizeof bytes) {
    return DQNN_ERROR_RANGE;
  }
  memcpy(&bytes, r->data, sizeof bytes);
  dqnn_tensor tensor = {.data = link->model.spare, .bytes = link->run.captured};
  r->head.value = link->run.whole;
  if (r->head.index != TRACED) {
    if (dqnn_output(link->it, r->head.index, &tensor) != DQNN_OK) {
      return DQNN_ERROR_RANGE;
    }
    r->head.value = tensor.bytes;
  }
  offset = least(offset, tensor.bytes);
  answer(r, (const uint8_t *)tensor.data + offset, least(least(bytes, r->room), tensor.bytes - offset));
  return DQNN_OK;
}

/* ---- what there is ---- */

static uint32_t kernels_of(const dqnn_options *options, uint32_t kernels[6]) {
  uint32_t isas = 0;
  for (uint32_t i = 0; i < options->kernel_count; ++i) {
    const dqnn_variant *variant = options->kernels[i];
    kernels[variant->id / 32] |= 1u << variant->id % 32;
    isas |= 1u << variant->isa;
  }
  return isas;
}

static dqnn_status on_hello(dqnn_link *link, request *r) {
  const dqnn_link_config *config = link->config;
  hello_block block = {
      .protocol = DQNN_LINK_PROTOCOL,
      .frame_bytes = (uint16_t)config->frame_bytes,
      .requests = link->requests,
      .dropped = link->dropped,
      .clock_hz = config->clock != NULL ? config->clock_hz : 0,
      .memory_bytes = config->memory_bytes,
      .format_version = DQNN_FORMAT_VERSION,
      .runtime_version = DQNN_RUNTIME_VERSION,
      .flags = config->reset != NULL ? CAN_RESET : 0,
  };
  if (config->slots != NULL) {
    block.slots = config->slots->count;
    block.file_bytes = config->slots->file_bytes;
    block.block_bytes = config->slots->block_bytes;
  }
  block.isas = kernels_of(config->options, block.kernels);
  answer(r, &block, sizeof block);
  answer_text(r, config->core, NAME_CHARACTERS);
  answer_text(r, config->board, NAME_CHARACTERS);
  return DQNN_OK;
}

static dqnn_status on_model(dqnn_link *link, request *r) {
  const dqnn_fault *fault = &link->model.fault;
  dqnn_model_info info = {0};
  dqnn_prefix prefix = {0};
  if (link->it != NULL) {
    (void)dqnn_model_of(link->it, &info);
    memcpy(&prefix, info.file, sizeof prefix);
  }
  const model_block block = {
      .status = (uint16_t)link->model.status,
      .node = fault->node,
      .kernel = fault->kernel,
      .tensor = fault->tensor,
      .check = fault->check,
      .model_version = info.model_version,
      .file_bytes = info.file_bytes,
      .prefix_crc = prefix.prefix_crc,
      .model_id = info.model_id,
      .arena_bytes = info.arena_bytes,
      .state_bytes = info.state_bytes,
      .spare_bytes = link->model.spare_bytes,
      .nodes = (uint16_t)info.nodes,
      .inputs = (uint16_t)info.inputs,
      .outputs = (uint16_t)info.outputs,
      .flags =
          (uint16_t)((link->model.ticks != NULL ? HAS_TICKS : 0) | (link->model.copies != NULL ? KEEPS_INPUTS : 0)),
  };
  answer(r, &block, sizeof block);
  answer_text(r, info.name, UINT32_MAX);
  return DQNN_OK;
}

static dqnn_status on_nodes(dqnn_link *link, request *r) {
  dqnn_node_info info;
  uint32_t most = r->head.offset != 0 ? r->head.offset : UINT32_MAX;
  r->head.value = link->model.nodes;
  for (uint32_t i = r->head.index; most > 0 && r->answered + sizeof(node_block) <= r->room; ++i, --most) {
    if (link->it == NULL || dqnn_node(link->it, i, &info) != DQNN_OK) {
      break;
    }
    const node_block block = {link->model.ticks != NULL ? link->model.ticks[i] : 0, info.kernel, info.isa, {0}};
    answer(r, &block, sizeof block);
  }
  return DQNN_OK;
}

/* ---- replacing the model ---- */

/* Divides what the model leaves of the memory. */
static void share_memory(dqnn_link *link) {
  dqnn_model_info info;
  dqnn_tensor tensor;
  (void)dqnn_model_of(link->it, &info);
  uint32_t used = (info.arena_bytes + info.state_bytes + 7) & ~7u, copies = 0;
  uint8_t *spare = (uint8_t *)link->config->memory + used;
  uint32_t room = link->config->memory_bytes > used ? link->config->memory_bytes - used : 0;
  uint32_t ticks = (uint32_t)(info.nodes * sizeof *link->model.ticks);
  for (uint32_t i = 0; dqnn_input(link->it, i, &tensor) == DQNN_OK; ++i) {
    copies += tensor.bytes;
  }
  link->model.ticks = NULL;
  link->model.copies = NULL;
  if (ticks <= room) {
    link->model.ticks = (void *)spare;
    spare += ticks;
    room -= ticks;
  }
  if (copies <= room) {
    link->model.copies = spare;
    spare += copies;
    room -= copies;
  }
  link->model.spare = spare;
  link->model.spare_bytes = room;
  link->model.nodes = info.nodes;
  link->model.inputs = info.inputs;
  link->model.outputs = info.outputs;
}

static dqnn_status load(dqnn_link *link, const void *file, uint32_t bytes) {
  const dqnn_link_config *config = link->config;
  dqnn_options options = *config->options;
  options.profile = on_node;
  options.profile_context = link;
  memset(&link->model, 0, sizeof link->model);
  memset(&link->run, 0, sizeof link->run);
  const dqnn_fault none = {DQNN_NONE, DQNN_NONE, DQNN_NONE, 0};
  dqnn_fault *fault = &link->model.fault;
  *fault = none;
  link->it = NULL;
  if (config->slots != NULL) {
    link->model.status =
        config->slots->start(config->slots->context, &link->it, config->memory, config->memory_bytes, &options, fault);
  } else if (file != NULL) {
    link->model.status = dqnn_init(&link->it, config->memory, config->memory_bytes, file, bytes, &options, fault);
  } else {
    link->model.status = DQNN_ERROR_NO_MODEL;
  }
  if (link->it != NULL) {
    *fault = none;
    share_memory(link);
  }
  return link->model.status;
}

static dqnn_status on_slot(dqnn_link *link, request *r) {
  dqnn_slot_info info;
  const dqnn_slots *slots = link->config->slots;
  if (r->head.index >= slots->count) {
    return DQNN_ERROR_RANGE;
  }
  slots->slot(slots->context, r->head.index, &info);
  answer(r, &info, sizeof info);
  return DQNN_OK;
}

static dqnn_status on_begin(dqnn_link *link, request *r) {
  return link->config->slots->begin(link->config->slots->context, r->head.offset);
}

static dqnn_status on_block(dqnn_link *link, request *r) {
  return link->config->slots->block(link->config->slots->context, r->head.offset, r->data, r->bytes);
}

/* The check needs the memory: the model that runs is loaded anew afterwards. */
static dqnn_status on_verify(dqnn_link *link, request *r) {
  const dqnn_link_config *config = link->config;
  dqnn_fault fault = {DQNN_NONE, DQNN_NONE, DQNN_NONE, 0};
  link->it = NULL;
  dqnn_status status =
      config->slots->verify(config->slots->context, config->memory, config->memory_bytes, config->options, &fault);
  (void)load(link, NULL, 0);
  answer(r, &fault, sizeof fault);
  return status;
}

static dqnn_status reloaded(dqnn_link *link, dqnn_status status) {
  return status == DQNN_OK ? load(link, NULL, 0) : status;
}

static dqnn_status on_activate(dqnn_link *link, request *r) {
  (void)r;
  return reloaded(link, link->config->slots->activate(link->config->slots->context));
}

static dqnn_status on_rollback(dqnn_link *link, request *r) {
  (void)r;
  return reloaded(link, link->config->slots->rollback(link->config->slots->context));
}

static dqnn_status on_confirm(dqnn_link *link, request *r) {
  (void)r;
  if (link->model.copies == NULL) {
    link->model.written = 0; /* its self-test uses the inputs */
  }
  return link->config->slots->confirm(link->config->slots->context, link->it);
}

static dqnn_status on_reset(dqnn_link *link, request *r) {
  (void)r;
  return link->config->reset != NULL ? DQNN_OK : DQNN_ERROR_UNSUPPORTED;
}

/* ---- requests ---- */

enum { PLAIN = 0, ONCE = 1, SLOTS = 2 }; /* ONCE: a repetition gets the kept answer; SLOTS: needs some */

static const struct {
  handler handle;
  uint32_t flags;
} commands[] = {
    [HELLO] = {on_hello, PLAIN},
    [MODEL] = {on_model, PLAIN},
    [NODES] = {on_nodes, PLAIN},
    [WRITE] = {on_write, PLAIN},
    [INVOKE] = {on_invoke, ONCE},
    [READ] = {on_read, PLAIN},
    [RESET] = {on_reset, ONCE},
    [SLOT] = {on_slot, SLOTS},
    [BEGIN] = {on_begin, ONCE | SLOTS},
    [BLOCK] = {on_block, ONCE | SLOTS},
    [VERIFY] = {on_verify, ONCE | SLOTS},
    [ACTIVATE] = {on_activate, ONCE | SLOTS},
    [CONFIRM] = {on_confirm, ONCE | SLOTS},
    [ROLLBACK] = {on_rollback, ONCE | SLOTS},
};

/* Does what the request asks, and returns the flags of its command. */
static uint32_t handle(dqnn_link *link, request *r) {
  uint32_t number = r->head.command, known = sizeof commands / sizeof commands[0];
  dqnn_status status = DQNN_ERROR_UNSUPPORTED;
  uint32_t flags = number < known ? commands[number].flags : PLAIN;
  bool possible = link->config->slots != NULL || (flags & SLOTS) == 0;
  if (number != 0 && number < known && possible) {
    status = commands[number].handle(link, r);
  }
  r->head.status = (uint16_t)status;
  return flags;
}

/* A whole frame is in the buffer. */
static void serve(dqnn_link *link) {
  uint8_t *frame = link->config->frame;
  uint32_t content = link->in.bytes - DQNN_LINK_OVERHEAD, crc;
  request r = {
      .data = frame + sizeof(header), .bytes = content, .room = link->config->frame_bytes - DQNN_LINK_OVERHEAD};
  memcpy(&r.head, frame, sizeof r.head);
  memcpy(&crc, r.data + content, sizeof crc);
  uint32_t command = r.head.command;
  if (link->last.bytes != 0 && crc == link->last.crc) {
    memcpy(frame, link->last.answer, link->last.bytes);
    dqnn_frames_send(link, link->last.bytes);
    return;
  }
  ++link->requests;
  uint32_t flags = handle(link, &r), bytes = (uint32_t)sizeof r.head + r.answered;
  r.head.command |= ANSWER;
  memcpy(frame, &r.head, sizeof r.head);
  link->last.crc = crc;
  link->last.bytes = (flags & ONCE) != 0 ? (uint16_t)bytes : 0;
  memcpy(link->last.answer, frame, link->last.bytes);
  dqnn_frames_send(link, bytes);
  if (command == RESET && r.head.status == DQNN_OK) {
    link->config->reset(link->config->context);
  }
}

/* ---- the public functions ---- */

dqnn_status dqnn_link_init(dqnn_link *link, const dqnn_link_config *config, const void *file, uint32_t file_bytes) {
  if (link == NULL || config == NULL || config->read == NULL || config->write == NULL || config->options == NULL ||
      config->memory == NULL || config->frame == NULL || config->frame_bytes < DQNN_LINK_FRAME_MIN ||
      config->frame_bytes > DQNN_LINK_FRAME_MAX) {
    return DQNN_ERROR_ARGUMENT;
  }
  if ((uintptr_t)config->memory % DQNN_ALIGNMENT != 0 || (uintptr_t)config->frame % 8 != 0) {
    return DQNN_ERROR_ALIGNMENT;
  }
  memset(link, 0, sizeof *link);
  link->config = config;
  (void)load(link, file, file_bytes);
  return DQNN_OK;
}

bool dqnn_link_poll(dqnn_link *link) {
  uint8_t bytes[32];
  uint32_t count = link->config->read(link->config->context, bytes, sizeof bytes);
  for (uint32_t i = 0; i < count; ++i) {
    if (dqnn_frames_take(link, bytes[i])) {
      serve(link);
    }
  }
  return count > 0;
}

dqnn_interpreter *dqnn_link_interpreter(const dqnn_link *link) {
  return link->it;
}
