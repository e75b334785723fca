/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The firmware's program: runs the .dqnn file that lies in memory on samples from a file of the host.
 *
 *   command line: dqnn <input file> <output file> <samples> [clock] [profile] [isas=<mask>]
 *
 * The input file holds, sample after sample, the stored bytes of every model input; the output file likewise. Reports
 * are lines of `key=value` that begin with a record name (exporter/targets/emulated.py reads them):
 *
 *   dqnn-result status=ok ...    sizes, memory really used, ticks of all invokes (with clock)
 *   dqnn-node index=0 ...        ticks of one node (with profile)
 *   dqnn-refused status=... ...  the file was refused; node, kernel, tensor and check as dqnn_fault has them
 *   dqnn-error what=... ...      the command line or a file of the host is wrong
 *   dqnn-crash exception=... ... the processor faulted
 *
 * The firmware knows no model: it is built once, with every kernel. */
#include <string.h>

#include "board.h"
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "paint.h"
#include "semihosting.h"

enum { EXIT_OK = 0, EXIT_REFUSED = 1, EXIT_ERROR = 2, EXIT_CRASHED = 3 };
enum { COMMAND_BYTES = 160, LAYER_CHARACTERS = 100 };

typedef struct {
  const char *input, *output;
  uint32_t samples, isas;
  bool clock, profile;
} arguments;

typedef struct {
  dqnn_interpreter *it;
  dqnn_requirements need;
  intptr_t input, output; /* files */
  uint32_t stack_init, stack_invoke, arena_touched;
  uint64_t ticks;
  uint64_t node_begin;
  bool report_nodes; /* by the profile hook */
} session;

/* ---- reports ---- */

static void print_text(const char *key, const char *value) {
  host_print(" ");
  host_print(key);
  host_print("=");
  host_print(value);
}

static void print_field(const char *key, uint64_t value) {
  print_text(key, "");
  host_print_number(value);
}

static void print_index(const char *key, uint16_t value) {
  if (value == DQNN_NONE) {
    print_text(key, "none");
  } else {
    print_field(key, value);
  }
}

/* A name from the file, which may hold anything: what could break a record is replaced. */
static void print_layer(const char *name) {
  char text[LAYER_CHARACTERS + 1];
  uint32_t n = 0;
  for (; n < LAYER_CHARACTERS && name[n] != '\0'; ++n) {
    text[n] = name[n] > ' ' && name[n] < 127 ? name[n] : '_';
  }
  text[n] = '\0';
  print_text("layer", text);
}

static int error(const char *what, const char *detail) {
  host_print("dqnn-error");
  print_text("what", what);
  print_text("detail", detail);
  host_print("\n");
  return EXIT_ERROR;
}

static int refused(dqnn_status status, const dqnn_fault *fault, uint32_t needed, uint32_t available) {
  host_print("dqnn-refused");
  print_text("status", dqnn_status_name(status));
  print_field("code", (uint64_t)status);
  print_index("node", fault->node);
  print_text("kernel", fault->kernel == DQNN_NONE ? "none" : dqnn_kernel_name(fault->kernel));
  print_index("tensor", fault->tensor);
  print_text("check", dqnn_check_name(fault->check));
  print_field("memory", needed);
  print_field("available", available);
  host_print("\n");
  return EXIT_REFUSED;
}

_Noreturn void run_crashed(uint32_t exception, uint32_t pc, uint32_t cause, uint32_t address) {
  host_print("dqnn-crash");
  print_field("exception", exception);
  print_field("pc", pc);
  print_field("cause", cause);
  print_field("address", address);
  host_print("\n");
  host_exit(EXIT_CRASHED);
}

/* ---- command line ---- */

/* Cuts off the next word of a line. */
static char *next_word(char **line) {
  char *word = *line;
  while (*word == ' ') {
    ++word;
  }
  char *end = word;
  while (*end != ' ' && *end != '\0') {
    ++end;
  }
  *line = *end == '\0' ? end : end + 1;
  *end = '\0';
  return word;
}

static bool parse_number(const char *text, uint32_t *value) {
  *value = 0;
  if (*text == '\0') {
    return false;
  }
  for (; *text != '\0'; ++text) {
    if (*text < '0' || *text > '9' || *value > (UINT32_MAX - 9) / 10) {
      return false;
    }
    *value = *value * 10 + (uint32_t)(*text - '0');
  }
  return true;
}

static bool parse_option(const char *word, arguments *a) {
  static const char isas[] = "isas=";
  if (strcmp(word, "clock") == 0) {
    a->clock = true;
  } else if (strcmp(word, "profile") == 0) {
    a->clock = true;
    a->profile = true;
  } else if (strncmp(word, isas, sizeof isas - 1) == 0) {
    return parse_number(word + sizeof isas - 1, &a->isas);
  } else {
    return false;
  }
  return true;
}

static bool parse(char *line, arguments *a) {
  *a = (arguments){0};
  (void)next_word(&line); /* the program's name */
  a->input = next_word(&line);
  a->output = next_word(&line);
  if (*a->input == '\0' || *a->output == '\0' || !parse_number(next_word(&line), &a->samples)) {
    return false;
  }
  for (const char *word = next_word(&line); *word != '\0'; word = next_word(&line)) {
    if (!parse_option(word, a)) {
      return false;
    }
  }
  return true;
}

/* ---- running ---- */

/* The profile hook. What it prints takes no time of the node's, but of the whole invoke. */
static void on_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  session *s = context;
  uint64_t now = board_clock();
  if (begin || !s->report_nodes) {
    s->node_begin = now;
    return;
  }
  dqnn_node_info info;
  (void)dqnn_node(s->it, node, &info);
  host_print("dqnn-node");
  print_field("index", node);
  print_text("kernel", dqnn_kernel_name(kernel));
  print_text("isa", dqnn_isa_name(info.isa));
  print_field("ticks", now - s->node_begin);
  print_layer(info.layer);
  host_print("\n");
}

/* Rows of an input that is fed, as they come from the host: layers run before the last one is there. */
static bool read_rows(session *s) {
  dqnn_tensor rows;
  while (dqnn_feed(s->it, &rows) == DQNN_OK && rows.dims[0] != 0) {
    if (!host_read(s->input, rows.data, rows.bytes)) {
      return false;
    }
    const uint64_t start = board_clock();
    (void)dqnn_fed(s->it, rows.dims[0]);
    s->ticks += board_clock() - start;
  }
  return true;
}

static bool is_fed(const session *s) {
  dqnn_tensor rows;
  return dqnn_feed(s->it, &rows) == DQNN_OK;
}

static bool read_inputs(session *s) {
  if (is_fed(s)) {
    return read_rows(s);
  }
  for (uint32_t i = 0; i < s->need.inputs; ++i) {
    dqnn_tensor tensor;
    (void)dqnn_input(s->it, i, &tensor);
    if (!host_read(s->input, tensor.data, tensor.bytes)) {
      return false;
    }
  }
  return true;
}

static bool write_outputs(const session *s) {
  for (uint32_t i = 0; i < s->need.outputs; ++i) {
    dqnn_tensor tensor;
    (void)dqnn_output(s->it, i, &tensor);
    if (!host_write(s->output, tensor.data, tensor.bytes)) {
      return false;
    }
  }
  return true;
}

/* Bytes of the arena, from its start, and of the stack that the first sample uses. Two colours: a byte can happen to
 * hold one. */
static bool measure(session *s, uint32_t *stack_limit) {
  static const uint8_t colours[] = {0xA5, 0x5A};
  const uint32_t top = 0;
  dqnn_model_info model;
  (void)dqnn_model_of(s->it, &model);
  s->arena_touched = 0;
  for (uint32_t i = 0; i < sizeof colours; ++i) {
    (void)memset(model.arena, colours[i], model.arena_bytes);
    paint_stack(stack_limit);
    if (!host_rewind(s->input) || !read_inputs(s)) {
      return false;
    }
    if (!is_fed(s)) { /* layers have run already */
      paint_stack(stack_limit);
    }
    (void)dqnn_invoke(s->it);
    s->stack_invoke = painted_stack_used(stack_limit, &top);
    uint32_t end = model.arena_bytes;
    while (end > s->arena_touched && model.arena[end - 1] == colours[i]) {
      --end;
    }
    s->arena_touched = end;
  }
  return host_rewind(s->input);
}

static void invoke(session *s) {
  uint64_t start = board_clock();
  (void)dqnn_invoke(s->it);
  s->ticks += board_clock() - start;
}

static bool run_samples(session *s, uint32_t samples, uint32_t *stack_limit) {
  if (samples == 0) {
    return true;
  }
  if (!measure(s, stack_limit)) {
    return false;
  }
  s->report_nodes = true;
  s->ticks = 0;
  for (uint32_t i = 0; i < samples; ++i) {
    if (!read_inputs(s)) {
      return false;
    }
    invoke(s);
    if (!write_outputs(s)) {
      return false;
    }
  }
  return true;
}

static void report(const session *s, const arguments *a) {
  host_print("dqnn-result");
  print_text("status", "ok");
  print_field("samples", a->samples);
  print_field("nodes", s->need.nodes);
  print_field("arena", s->need.arena_bytes);
  print_field("state", s->need.state_bytes);
  print_field("memory", s->need.memory_bytes);
  print_field("arena_touched", s->arena_touched);
  print_field("stack_init", s->stack_init);
  print_field("stack_invoke", s->stack_invoke);
  print_field("ticks", s->ticks);
  host_print("\n");
}

static uint32_t sample_bytes(const session *s) {
  uint32_t bytes = 0;
  for (uint32_t i = 0; i < s->need.inputs; ++i) {
    dqnn_tensor tensor;
    (void)dqnn_input(s->it, i, &tensor);
    bytes += tensor.bytes;
  }
  dqnn_tensor rows, whole;
  if (dqnn_feed(s->it, &rows) == DQNN_OK) { /* whose bytes are those of a strip */
    (void)dqnn_input(s->it, 0, &whole);
    bytes = rows.bytes / rows.dims[0] * whole.dims[0];
  }
  return bytes;
}

/* With the files open. */
static int process(session *s, const arguments *a, uint32_t *stack_limit) {
  if ((uint64_t)host_length(s->input) != (uint64_t)sample_bytes(s) * a->samples) {
    return error("input_length", a->input);
  }
  if (!run_samples(s, a->samples, stack_limit)) {
    return error("transfer", a->input);
  }
  report(s, a);
  return EXIT_OK;
}

static int with_files(session *s, const arguments *a, uint32_t *stack_limit) {
  s->input = host_open_read(a->input);
  if (s->input == HOST_FAILED) {
    return error("open", a->input);
  }
  s->output = host_open_write(a->output);
  int result = s->output == HOST_FAILED ? error("open", a->output) : process(s, a, stack_limit);
  if (s->output != HOST_FAILED) {
    host_close(s->output);
  }
  host_close(s->input);
  return result;
}

/* The file is used where it lies. A frame of its own: what stands in run's is not the interpreter's stack. */
__attribute__((noinline)) static dqnn_status load(session *s, const board_info *b, const dqnn_options *options,
                                                  dqnn_fault *fault) {
  const uint32_t top = 0;
  *fault = (dqnn_fault){DQNN_NONE, DQNN_NONE, DQNN_NONE, 0};
  paint_stack(b->stack_limit);
  dqnn_status status = dqnn_requirements_of(b->model, b->model_bytes, &s->need);
  if (status == DQNN_OK) {
    status = dqnn_init(&s->it, b->memory, b->memory_bytes, b->model, b->model_bytes, options, fault);
  }
  s->stack_init = painted_stack_used(b->stack_limit, &top);
  return status;
}

int run(void) {
  char line[COMMAND_BYTES];
  arguments a;
  if (!host_command_line(line, sizeof line) || !parse(line, &a)) {
    return error("arguments", "input-file,output-file,samples");
  }
  if (a.clock) {
    board_clock_start();
  }
  const board_info b = board();
  session s = {0};
  const dqnn_options options = {
      .kernels = dqnn_all_kernels,
      .kernel_count = dqnn_all_kernel_count,
      .isa_mask = a.isas,
      .profile = a.profile ? on_node : NULL,
      .profile_context = &s,
      .segments = &dqnn_fed_strips,
  };
  dqnn_fault fault;
  dqnn_status status = load(&s, &b, &options, &fault);
  if (status != DQNN_OK) {
    return refused(status, &fault, s.need.memory_bytes, b.memory_bytes);
  }
  return with_files(&s, &a, b.stack_limit);
}
