/* What the tests of plans for some rows at a time share (test_segments.c, test_feed.c): files changed so that they must
 * be refused, and numbers to change them at random. */
#ifndef DQNN_TEST_PLANS_H
#define DQNN_TEST_PLANS_H

#include "blob.h"
#include "test.h"

typedef struct {
  const char *name;
  void (*change)(blob b);
  dqnn_status status;
  uint16_t check, node; /* expected in the fault */
} refusal;

#define REFUSAL(change, status, check, node) \
  { #change, change, DQNN_ERROR_##status, DQNN_CHECK_##check, node }

/* Seals the file and checks that it is refused so; returns the fault. Messages have the refusal's name from here on. */
static inline dqnn_fault check_refused(blob b, const dqnn_options *options, const refusal *r) {
  dqnn_fault fault;
  blob_seal(b);
  test_label = r->name;
  CHECK_EQUAL(dqnn_verify(b.bytes, b.size, options, &fault), r->status);
  CHECK_EQUAL(fault.check, r->check);
  CHECK_EQUAL(fault.node, r->node);
  return fault;
}

static inline uint32_t draw(uint32_t *state, uint32_t below) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % below;
}

#endif
