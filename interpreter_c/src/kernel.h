/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What a kernel is: a plan function, shared by all variants, that checks everything once, and run functions that cannot
 * fail.
 *
 * plan(): sees the call with shapes, parameters and constants, activation pointers NULL. It must check every property
 * that run() relies on: dtypes, shapes, parameter ranges, exact constant sizes, values in constants that are used as an
 * index, sums that could overflow. It writes the scratch that each variant needs and whether the output may overlap
 * inputs. run(): the same call with all pointers set. Activations and scratch are 16-byte aligned and disjoint (but
 * for what plan allowed of input 0 or of parts). A variant runs only if the file gives the scratch it needs.
 *
 * Scratch belongs to a variant, so that no file loses a fast variant because a later release has a faster one. For the
 * same reason the need of an instruction set's variant never grows from a release to the next: a way that wants more
 * looks at call->scratch_bytes, and goes the old way if it is not there. */
#ifndef DQNN_KERNEL_H
#define DQNN_KERNEL_H

#include "dqnn/dqnn.h"
#include "float_rules.h"
#include "schema.h"

/* Not inlined: for size, or so that its locals do not stay on the stack under what follows. */
#if defined(__GNUC__)
#define DQNN_APART __attribute__((noinline))
#define DQNN_RARE __attribute__((noinline, cold)) /* compiled for size: runs once per load or per invoke */
#else
#define DQNN_APART
#define DQNN_RARE
#endif

enum { DQNN_MAX_INPUTS = 16, DQNN_MAX_CONSTANTS = 6 };

/* Why a file was refused (checks.def): by the loader, or by a plan function. */
typedef enum {
  DQNN_CHECK_none = 0,
#define DQNN_LOAD_CHECK(number, name, status, text) DQNN_CHECK_##name = (number),
#define DQNN_CHECK(number, name, status, text) DQNN_CHECK_##name = (number),
#include "checks.def"
} dqnn_check;

/* The status that goes with a check that failed (plan_common.c); DQNN_OK for none. */
dqnn_status dqnn_status_of(uint16_t check);

/* Numbers in use, 0 among them: there are no gaps. */
enum {
  DQNN_COUNTED_none,
#define DQNN_LOAD_CHECK(number, name, status, text) DQNN_COUNTED_##name,
#define DQNN_CHECK(number, name, status, text) DQNN_COUNTED_##name,
#include "checks.def"
  DQNN_CHECK_COUNT
};

typedef struct {
  const void *params; /* the family's struct in schema.h, 4-byte aligned; NULL if it has none */
  const dqnn_tensor_def *in_def[DQNN_MAX_INPUTS];
  const dqnn_tensor_def *out_def;
  const void *in[DQNN_MAX_INPUTS]; /* NULL while planning */
  void *out;
  const void *constants[DQNN_MAX_CONSTANTS]; /* 8-byte aligned */
  uint32_t constant_bytes[DQNN_MAX_CONSTANTS];
  void *scratch;
  uint32_t scratch_bytes;
  uint16_t kernel; /* id: tells plan the dtypes it must see */
  uint8_t inputs, constant_count;
} dqnn_call;

typedef struct {
  uint32_t scratch_bytes; /* the largest number of bytes in scratch[] but for `winograd`, which is the exporter's
                             choice: with DQNN_PLAN_ALL, what a file should give */
  uint32_t scratch[DQNN_ISA_NUMBER]; /* what the variant of each instruction set needs; UINT32_MAX: more than 32 bits
                                        can say, or it does not take this call. ref needs none */
  uint32_t overlap_bytes; /* bytes of input 0, from its start, that the output may share (0: none, UINT32_MAX: fully in
                             place) */
  uint32_t work; /* steps that the checks may take (plan.h): given to plan(), which writes all else and leaves what is
                    left of them */
  uint8_t parts; /* 1: the output is its inputs' bytes one behind the other; any of them may lie there already */
} dqnn_plan;

/* The first check that failed, which the fault report names. */
typedef dqnn_check (*dqnn_plan_fn)(const dqnn_call *call, dqnn_plan *plan);
typedef void (*dqnn_run_fn)(const dqnn_call *call);

/* Families: X(name, params). The plan function is dqnn_plan_<name>; params names the field of the Node table that must
 * be present, alone. Everything else about a call is checked by plan(). */
/* clang-format off */
#define DQNN_FAMILIES(X)                                                                          \
  X(conv_bitsliced, conv) X(conv, conv) X(depthwise, conv) X(affine, channel) X(lut, none)        \
  X(unary, unary) X(prelu, none) X(softmax, none) X(binary, binary) X(maxpool, pool)              \
  X(avgpool, pool) X(concat, concat) X(pad, pad) X(view, view) X(reshape, none) X(layernorm, none) \
  X(convz, conv) X(depthwisez, conv) X(lut_channels, none) X(binary_fixed, fixed_binary)           \
  X(avgpool_raw, pool) X(reduce, reduce) X(softmax_fixed, softmax) X(gather, gather) X(constant, none) \
  X(bilinear, none)
/* clang-format on */

#define DQNN_FAMILY_ENUMERATOR(name, params) DQNN_FAMILY_##name,
enum { DQNN_FAMILIES(DQNN_FAMILY_ENUMERATOR) DQNN_FAMILY_NUMBER };
#undef DQNN_FAMILY_ENUMERATOR

#define DQNN_FAMILY_PLAN(name, params) dqnn_check dqnn_plan_##name(const dqnn_call *call, dqnn_plan *plan);
DQNN_FAMILIES(DQNN_FAMILY_PLAN)
#undef DQNN_FAMILY_PLAN

#define DQNN_VARIANT(name, isa) void dqnn_run_##name##_##isa(const dqnn_call *call);
#include "dqnn/kernels.def"

/* A run function that is another one of its file, which tells the kernels apart itself. */
#if defined(__GNUC__) && defined(__ELF__)
#define DQNN_SAME_RUN(name, other) DQNN_ALIAS(name, other)
#define DQNN_ALIAS(name, other) void name(const dqnn_call *call) __attribute__((alias(#other)));
#else
#define DQNN_SAME_RUN(name, other)   \
  void name(const dqnn_call *call) { \
    other(call);                     \
  }
#endif

/* Plans a call with its family's function; of *plan, only `work` is set before (plan_common.c). */
dqnn_check dqnn_plan_with(dqnn_plan_fn checks, const dqnn_call *call, dqnn_plan *plan);

/* A variant of a row of kernels.def. Each is an object of its own (dqnn_variant_<name>_<isa>), so that unused ones are
 * dropped. */
struct dqnn_variant {
  dqnn_plan_fn plan; /* this and the kernel's id and family are those of all its variants */
  dqnn_run_fn run;
  uint16_t id;
  uint8_t family, isa;
};

/* Bytes of a tensor, or 0 with what failed (DQNN_CHECK_tensor_*) if it is no valid definition. */
uint32_t dqnn_tensor_bytes(const dqnn_tensor_def *def, uint16_t *failed);

#endif
