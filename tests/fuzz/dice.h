/* Random numbers whose seed decides everything. */
#ifndef DQNN_FUZZ_DICE_H
#define DQNN_FUZZ_DICE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint32_t state;
} dice;

static inline uint32_t dice_roll(dice *d) { /* 24 bits */
  d->state = d->state * 1664525u + 1013904223u;
  return d->state >> 8;
}

/* 0 <= result < count */
static inline uint32_t dice_below(dice *d, uint32_t count) {
  return dice_roll(d) % count;
}

static inline bool dice_one_in(dice *d, uint32_t count) {
  return dice_below(d, count) == 0;
}

#define DICE_PICK(d, array) ((array)[dice_below((d), sizeof(array) / sizeof((array)[0]))])

#endif
