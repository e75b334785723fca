/* Kernels whose plan() says what a test wants and whose run functions leave a trace: they carry the ids that
 * floats.dqnn uses, so that the loader is tested apart from the real kernels. */
#ifndef DQNN_TEST_STUBS_H
#define DQNN_TEST_STUBS_H

#include "kernel.h"

enum { STUB_UNARY = 67, STUB_PRELU = 68, STUB_SOFTMAX = 69, STUB_BINARY = 72 };

typedef struct {
  dqnn_check check;             /* what every plan returns */
  uint16_t only;                /* refuse only this kernel; 0: all */
  uint32_t overlap_bytes;       /* of every kernel */
  uint32_t scratch_bytes;       /* that softmax needs as portable ... */
  uint32_t other_scratch_bytes; /* ... and as mve */
  uint8_t parts;                /* of every kernel */
  uint32_t plans;               /* times a plan was called */
  char trace[64];               /* one letter per run: u, p, s, b; capitals for the variants of softmax but ref */
  dqnn_call calls[8];           /* of the runs */
} stub_state;

extern stub_state stubs;
void stubs_reset(void);

/* Order: unary ref; prelu ref; softmax portable, mve, ref; binary ref. */
enum { STUB_VARIANTS = 6 };
extern const dqnn_variant *const stub_kernels[STUB_VARIANTS];
dqnn_options stub_options(void);

#endif
