/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* For toolchains that come without a C library: the memory functions the library uses, which the firmware then has to
 * define. */
#ifndef DQNN_FREESTANDING_STRING_H
#define DQNN_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
