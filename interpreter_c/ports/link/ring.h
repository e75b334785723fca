/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Bytes from an interrupt to the main loop. One side puts, the other takes; what comes when it is full is lost, and
 * asked for again. */
#ifndef DQNN_PORT_RING_H
#define DQNN_PORT_RING_H

#include <stdbool.h>
#include <stdint.h>

enum { RING_BYTES = 256 }; /* divides 2^32 */

typedef struct {
  uint8_t bytes[RING_BYTES];
  volatile uint32_t put, taken;
} ring;

static inline void ring_put(ring *r, uint8_t byte) {
  if (r->put - r->taken < RING_BYTES) {
    r->bytes[r->put % RING_BYTES] = byte;
    ++r->put;
  }
}

static inline uint32_t ring_take(ring *r, uint8_t *data, uint32_t bytes) {
  uint32_t count = 0;
  while (count < bytes && r->taken != r->put) {
    data[count++] = r->bytes[r->taken % RING_BYTES];
    ++r->taken;
  }
  return count;
}

static inline bool ring_empty(const ring *r) {
  return r->taken == r->put;
}

#endif
