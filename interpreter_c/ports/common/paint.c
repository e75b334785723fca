/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Painting the stack. The functions below run on the stack they paint: they leave a margin under their own frame. */
#include "paint.h"

enum { COLOUR = 0x5DA1C3E7, MARGIN_WORDS = 16 };

void paint_stack(uint32_t *limit) {
  const volatile uint32_t *end = (uint32_t *)__builtin_frame_address(0) - MARGIN_WORDS;
  for (volatile uint32_t *word = limit; word < end; ++word) {
    *word = COLOUR;
  }
}

uint32_t painted_stack_used(const uint32_t *limit, const void *top) {
  const uint32_t *word = limit;
  while ((const void *)word < top && *word == COLOUR) {
    ++word;
  }
  return (uint32_t)((const uint8_t *)top - (const uint8_t *)word);
}
