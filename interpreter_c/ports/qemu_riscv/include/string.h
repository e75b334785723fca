/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the interpreter and the runner use of <string.h>; memory.c has it. */
#ifndef DQNN_PORT_STRING_H
#define DQNN_PORT_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t characters);

#endif
