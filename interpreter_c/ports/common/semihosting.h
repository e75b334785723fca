/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Semihosting: the emulator (or a debug probe) opens files and prints for the firmware. Operations and arguments are
 * the same on Arm and RISC-V; each port's startup file gives the instruction that calls the host. */
#ifndef DQNN_PORT_SEMIHOSTING_H
#define DQNN_PORT_SEMIHOSTING_H

#include <stdbool.h>
#include <stdint.h>

/* Of the port. Returns what the host answers. */
intptr_t host_call(uintptr_t operation, const void *argument);

enum { HOST_FAILED = -1 };

/* The command line as a string; false if the host gives none or it does not fit. */
bool host_command_line(char *text, uint32_t bytes);

/* A handle, or HOST_FAILED. */
intptr_t host_open_read(const char *path);
intptr_t host_open_write(const char *path);
void host_close(intptr_t file);

/* Whole transfers: false if fewer bytes went. */
bool host_read(intptr_t file, void *data, uint32_t bytes);
bool host_write(intptr_t file, const void *data, uint32_t bytes);
bool host_rewind(intptr_t file);
intptr_t host_length(intptr_t file);

void host_print(const char *text);
void host_print_number(uint64_t value);
_Noreturn void host_exit(int code);

#endif
