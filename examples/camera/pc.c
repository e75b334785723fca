/* What camera.c needs of a board, on a PC: the model from a file, images and output by stdio.
 *
 *   camera model.dqnn image.pgm */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "dqnn/dqnn.h"
#include "semihosting.h"

enum { MEMORY_BYTES = 1 << 20, MODEL_BYTES = 1 << 24 };

static _Alignas(DQNN_ALIGNMENT) uint8_t model[MODEL_BYTES], memory[MEMORY_BYTES];
static uint32_t model_bytes;
static const char *image;
static FILE *opened; /* one file at a time */

board_info board(void) {
  return (board_info){
      .model = model, .model_bytes = model_bytes, .memory = memory, .memory_bytes = sizeof memory, .stack_limit = NULL};
}

bool host_command_line(char *text, uint32_t bytes) {
  return (size_t)snprintf(text, bytes, "camera %s", image) < bytes;
}

intptr_t host_open_read(const char *path) {
  opened = fopen(path, "rb");
  return opened == NULL ? HOST_FAILED : 0;
}

void host_close(intptr_t file) {
  (void)file;
  (void)fclose(opened);
}

bool host_read(intptr_t file, void *data, uint32_t bytes) {
  (void)file;
  return fread(data, 1, bytes, opened) == bytes;
}

void host_print(const char *text) {
  (void)fputs(text, stdout);
}

void host_print_number(uint64_t value) {
  (void)printf("%" PRIu64, value);
}

_Noreturn void host_exit(int code) {
  exit(code);
}

int main(int argc, char **argv) {
  if (argc != 3 || host_open_read(argv[1]) == HOST_FAILED) {
    (void)fprintf(stderr, "usage: camera model.dqnn image.pgm\n");
    return 2;
  }
  model_bytes = (uint32_t)fread(model, 1, sizeof model, opened);
  host_close(0);
  image = argv[2];
  return run();
}
