/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Semihosting operations, as "Semihosting for AArch32 and AArch64" (Arm) numbers them. An argument block is an array of
 * words. */
#include "semihosting.h"

#include <string.h>

enum {
  SYS_OPEN = 0x01,
  SYS_CLOSE = 0x02,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_SEEK = 0x0A,
  SYS_FLEN = 0x0C,
  SYS_GET_CMDLINE = 0x15,
  SYS_EXIT_EXTENDED = 0x20,
  APPLICATION_EXIT = 0x20026,
  MODE_READ_BINARY = 1,
  MODE_WRITE_BINARY = 5,
};

bool host_command_line(char *text, uint32_t bytes) {
  const uintptr_t block[2] = {(uintptr_t)text, bytes};
  return host_call(SYS_GET_CMDLINE, block) == 0;
}

static intptr_t open_file(const char *path, uintptr_t mode) {
  const uintptr_t block[3] = {(uintptr_t)path, mode, strlen(path)};
  return host_call(SYS_OPEN, block);
}

intptr_t host_open_read(const char *path) {
  return open_file(path, MODE_READ_BINARY);
}

intptr_t host_open_write(const char *path) {
  return open_file(path, MODE_WRITE_BINARY);
}

void host_close(intptr_t file) {
  const uintptr_t block[1] = {(uintptr_t)file};
  (void)host_call(SYS_CLOSE, block);
}

/* Both answer with the number of bytes that were left. */
bool host_read(intptr_t file, void *data, uint32_t bytes) {
  const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
  return host_call(SYS_READ, block) == 0;
}

bool host_write(intptr_t file, const void *data, uint32_t bytes) {
  const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)data, bytes};
  return host_call(SYS_WRITE, block) == 0;
}

bool host_rewind(intptr_t file) {
  const uintptr_t block[2] = {(uintptr_t)file, 0};
  return host_call(SYS_SEEK, block) == 0;
}

intptr_t host_length(intptr_t file) {
  const uintptr_t block[1] = {(uintptr_t)file};
  return host_call(SYS_FLEN, block);
}

void host_print(const char *text) {
  (void)host_call(SYS_WRITE0, text);
}

void host_print_number(uint64_t value) {
  char digits[21];
  uint32_t i = sizeof digits - 1;
  digits[i] = '\0';
  do {
    digits[--i] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  host_print(digits + i);
}

_Noreturn void host_exit(int code) {
  const uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)code};
  for (;;) {
    (void)host_call(SYS_EXIT_EXTENDED, block);
  }
}
