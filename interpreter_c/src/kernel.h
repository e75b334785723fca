/* What a kernel is: a plan function, shared by all variants, that checks everything once, and run functions that cannot fail.
 *
 * plan(): sees the call with shapes, parameters and constants, activation pointers NULL. It must check every property that run()
 * relies on: dtypes, shapes, parameter ranges, exact constant sizes, values in constants that are used as an index, sums that could
 * overflow. It writes the scratch the fastest variant wants and whether the output may overlap the input.
 * run(): the same call with all pointers set. Activations and scratch are 16-byte aligned and disjoint (output may share its first
 * bytes with input 0 as far as plan allowed). Variants other than ref run only if the planned scratch is there. */
#ifndef DQNN_KERNEL_H
#define DQNN_KERNEL_H

#include "dqnn/dqnn.h"
#include "schema.h"

enum { DQNN_MAX_INPUTS = 16, DQNN_MAX_CONSTANTS = 6 };

/* Why a plan function refused (checks.def). */
typedef enum {
  DQNN_CHECK_none = 0,
#define DQNN_CHECK(name, status, text) DQNN_CHECK_##name,
#include "checks.def"
  DQNN_CHECK_COUNT
} dqnn_check;

typedef struct {
  const void *params;                                /* the family's struct in schema.h, 4-byte aligned; NULL if it has none */
  const dqnn_tensor_def *in_def[DQNN_MAX_INPUTS];
  const dqnn_tensor_def *out_def;
  const void *in[DQNN_MAX_INPUTS];                   /* NULL while planning */
  void *out;
  const void *constants[DQNN_MAX_CONSTANTS];         /* 16-byte aligned */
  uint32_t constant_bytes[DQNN_MAX_CONSTANTS];
  void *scratch;
  uint32_t scratch_bytes;
  uint16_t kernel;                                   /* id: tells plan the dtypes it must see */
  uint8_t inputs, constant_count;
} dqnn_call;

typedef struct {
  uint32_t scratch_bytes;    /* for the fastest variant; ref never needs any */
  uint32_t overlap_bytes;    /* bytes of input 0, from its start, that the output may share (0: none, UINT32_MAX: fully in place) */
  uint16_t check;            /* on failure: which check (dqnn_check), for the fault report */
} dqnn_plan;

typedef dqnn_status (*dqnn_plan_fn)(const dqnn_call *call, dqnn_plan *plan);
typedef void (*dqnn_run_fn)(const dqnn_call *call);

/* One row of kernels.def; a kernel set is an array of pointers to these. */
struct dqnn_variant {
  uint16_t kernel;
  uint8_t isa;
  uint8_t family;
  dqnn_plan_fn plan;
  dqnn_run_fn run;
};

#endif
