/* Classifies an image while its lines still arrive: the camera is a PGM or PPM file (P5, P6), which the host hands over
 * line by line. The same program runs on a PC (pc.c gives it files) and on an emulated board (semihosting):
 *
 *   camera image.pgm
 *
 * Memory holds a few lines of the image. With a real camera, a line's interrupt or DMA takes host_read's place. */
#include <string.h>

#include "board.h"
#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "semihosting.h"

enum { COMMAND_BYTES = 160 };

/* What the profile hook sees: how many rows had been handed over when the first layer ran. */
typedef struct {
  uint32_t rows, first_layer_at;
} progress;

static int failed(const char *why) {
  host_print(why);
  host_print("\n");
  return 1;
}

static void on_node(void *context, uint32_t node, uint16_t kernel, bool begin) {
  progress *p = context;
  (void)kernel;
  if (node == 0 && begin && p->first_layer_at == 0) {
    p->first_layer_at = p->rows;
  }
}

/* ---- the camera ---- */

/* The next number of the header: digits with spaces around them. Comments are not understood. */
static uint32_t next_number(intptr_t file) {
  char c = ' ';
  uint32_t value = 0;
  while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
    if (!host_read(file, &c, 1)) {
      return 0;
    }
  }
  for (; c >= '0' && c <= '9' && value < UINT16_MAX; c = host_read(file, &c, 1) ? c : ' ') {
    value = value * 10 + (uint32_t)(c - '0');
  }
  return value;
}

/* False unless the image has the form of the model's input. */
static bool read_header(intptr_t file, const dqnn_tensor *input) {
  char magic[2];
  if (!host_read(file, magic, 2) || magic[0] != 'P' || (magic[1] != '5' && magic[1] != '6')) {
    return false;
  }
  const uint32_t width = next_number(file), height = next_number(file), most = next_number(file);
  return input->rank == 3 && height == input->dims[0] && width == input->dims[1] &&
         input->dims[2] == (magic[1] == '5' ? 1u : 3u) && most == UINT8_MAX;
}

/* Lines where the model wants them. */
static bool take_lines(intptr_t file, dqnn_interpreter *it, progress *p) {
  dqnn_tensor rows;
  while (dqnn_feed(it, &rows) == DQNN_OK && rows.dims[0] != 0) {
    const uint32_t line_bytes = rows.bytes / rows.dims[0];
    if (!host_read(file, rows.data, line_bytes)) {
      return false;
    }
    for (uint32_t i = 0; i < line_bytes; ++i) {
      ((uint8_t *)rows.data)[i] ^= 0x80; /* a sample, as the model stores it */
    }
    ++p->rows;
    (void)dqnn_fed(it, 1);
  }
  return p->rows != 0;
}

/* ---- the result ---- */

static uint32_t largest(const dqnn_tensor *output) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < output->dims[0]; ++i) {
    const bool more = output->dtype == DQNN_S8
                          ? ((const int8_t *)output->data)[i] > ((const int8_t *)output->data)[best]
                          : ((const float *)output->data)[i] > ((const float *)output->data)[best];
    best = more ? i : best;
  }
  return best;
}

static void report(const dqnn_interpreter *it, const progress *p) {
  dqnn_tensor output;
  (void)dqnn_output(it, 0, &output);
  host_print("class ");
  host_print_number(largest(&output));
  host_print("; the first layer ran after line ");
  host_print_number(p->first_layer_at);
  host_print(" of ");
  host_print_number(p->rows);
  host_print("\n");
}

static int classify(dqnn_interpreter *it, intptr_t file, progress *p) {
  dqnn_tensor input, output;
  (void)dqnn_input(it, 0, &input);
  if (input.sample_scale == 0.0f || dqnn_feed_anew(it) != DQNN_OK) {
    return failed("the model takes no raw samples (--input-u8), or is not fed by rows (--feed-rows)");
  }
  if (dqnn_output(it, 0, &output) != DQNN_OK || output.rank != 1 || output.dtype == DQNN_S1) {
    return failed("the model gives no vector of scores");
  }
  if (!read_header(file, &input)) {
    return failed("the image is no P5 or P6 file of the size that the model takes");
  }
  if (!take_lines(file, it, p)) {
    return failed("the image ends before its last line");
  }
  (void)dqnn_invoke(it); /* what is behind the layers that ran by rows */
  report(it, p);
  return 0;
}

int run(void) {
  char line[COMMAND_BYTES];
  const board_info b = board();
  progress p = {0};
  dqnn_interpreter *it;
  const dqnn_options options = {.kernels = dqnn_all_kernels, /* a product names its own: dqnn inspect --kernel-set */
                                .kernel_count = dqnn_all_kernel_count,
                                .profile = on_node,
                                .profile_context = &p,
                                .segments = &dqnn_fed_strips};
  const dqnn_status status = dqnn_init(&it, b.memory, b.memory_bytes, b.model, b.model_bytes, &options, NULL);
  if (status != DQNN_OK) {
    return failed(dqnn_status_str(status));
  }
  const char *path = host_command_line(line, sizeof line) ? strchr(line, ' ') : NULL;
  const intptr_t file = path != NULL ? host_open_read(path + 1) : HOST_FAILED;
  if (file == HOST_FAILED) {
    return failed("the image cannot be opened");
  }
  const int result = classify(it, file, &p);
  host_close(file);
  return result;
}

_Noreturn void run_crashed(uint32_t exception, uint32_t pc, uint32_t cause, uint32_t address) {
  (void)exception, (void)pc, (void)cause, (void)address;
  host_exit(failed("crashed"));
}
