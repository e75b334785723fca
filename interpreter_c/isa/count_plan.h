/* What dqnn_count_nines is told besides its pointers. Assembly reads the fields in this order. */
#ifndef DQNN_ISA_COUNT_PLAN_H
#define DQNN_ISA_COUNT_PLAN_H

#include <stdint.h>

typedef struct {
  int32_t base;     /* what an output with no differing bit has */
  uint32_t outputs; /* at least 1 */
  uint32_t steps;   /* of nine words per output, at least 1 */
  uint32_t skip;    /* words of w between the last step of an output and the first of the next */
} dqnn_count_plan;

#endif
