/* Makes a draft a file that the loader takes, after anything was changed in it: parameters within what the kernels'
 * plans allow, output shapes that follow from them, constants of the right size and content, a memory plan.
 *
 * What is legal already stays as it is. Written from schema/SPEC.md section 3, not from the plan functions; these are
 * only asked for scratch and for what may overlap. */
#ifndef DQNN_FUZZ_MEND_H
#define DQNN_FUZZ_MEND_H

#include "dice.h"
#include "draft.h"

/* A row of kernels.def; types are dqnn_dtype or MEND_ANY. */
enum { MEND_ANY = 3 };
typedef struct {
  uint8_t family, input, weights, output;
} mend_kernel;

extern const mend_kernel mend_kernels[];
extern const uint32_t mend_kernel_count;

/* All of the following; false if the draft cannot be saved (too many tensors, too large). */
bool mend(draft *d, dice *random);

/* Nodes in their order: each by mend_shapes, then mend_constants. */
bool mend_nodes(draft *d, dice *random);
bool mend_constants(draft *d, draft_node *node, dice *random);

/* Places all tensors and scratch anew, in place of one another where plans allow it and the dice wish it. */
bool mend_memory(draft *d, dice *random);

/* What the kernel's plan says to a node; false if it refuses. */
bool mend_plan(const draft *d, const draft_node *node, dqnn_plan *plan);

/* Bytes of a tensor; 0 if it has no valid form. */
uint32_t mend_bytes(const dqnn_tensor_def *def);

/* A convolution in numbers, for what depends on them. */
typedef struct {
  dqnn_conv_params *params;
  uint32_t in_h, in_w, in_c, out_h, out_w, out_c; /* out: pooled */
  uint32_t groups, group_in, group_out, taps;     /* depthwise: a group per channel; taps of an output */
} mend_conv;
mend_conv mend_conv_of(draft *d, draft_node *node);

#endif
