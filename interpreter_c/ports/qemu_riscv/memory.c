/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The C library of this port. */
#include <stdint.h>
#include <string.h>

enum { WORD = sizeof(uint32_t) };

static int aligned(const void *a, const void *b) {
  return (((uintptr_t)a | (uintptr_t)b) & (WORD - 1)) == 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
  uint8_t *target = to;
  const uint8_t *source = from;
  if (aligned(to, from)) {
    for (; bytes >= WORD; bytes -= WORD, target += WORD, source += WORD) {
      uint32_t word;
      __builtin_memcpy(&word, __builtin_assume_aligned(source, WORD), WORD);
      __builtin_memcpy(__builtin_assume_aligned(target, WORD), &word, WORD);
    }
  }
  for (; bytes != 0; --bytes) {
    *target++ = *source++;
  }
  return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
  if ((uintptr_t)to <= (uintptr_t)from) {
    uint8_t *target = to;
    const uint8_t *source = from;
    for (; bytes != 0; --bytes) {
      *target++ = *source++;
    }
  } else {
    uint8_t *target = (uint8_t *)to + bytes;
    const uint8_t *source = (const uint8_t *)from + bytes;
    for (; bytes != 0; --bytes) {
      *--target = *--source;
    }
  }
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  for (uint8_t *target = to; bytes != 0; --bytes) {
    *target++ = (uint8_t)value;
  }
  return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
  const uint8_t *left = a;
  const uint8_t *right = b;
  for (; bytes != 0; --bytes, ++left, ++right) {
    if (*left != *right) {
      return *left - *right;
    }
  }
  return 0;
}

size_t strlen(const char *text) {
  const char *end = text;
  while (*end != '\0') {
    ++end;
  }
  return (size_t)(end - text);
}

int strncmp(const char *a, const char *b, size_t characters) {
  for (; characters != 0; --characters, ++a, ++b) {
    if (*a != *b || *a == '\0') {
      return (uint8_t)*a - (uint8_t)*b;
    }
  }
  return 0;
}

int strcmp(const char *a, const char *b) {
  return strncmp(a, b, SIZE_MAX);
}
