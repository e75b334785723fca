/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The kernel table made real: expands kernels.def into one constant object per variant, and into the set of all of
 * them. Nothing else names a kernel. Built with -fdata-sections, so that a firmware which passes a set of its own links
 * only the objects, plans and run functions that the set names. */
#include "dqnn/dqnn_kernels.h"
#include "kernel.h"

#define COLUMNS(id, name, family) id, name, family
#define DEFINE(...) DEFINE_VARIANT(__VA_ARGS__)
#define DEFINE_VARIANT(isa, id, name, family)                                                          \
  const dqnn_variant dqnn_variant_##name##_##isa = {dqnn_plan_##family, dqnn_run_##name##_##isa, (id), \
                                                    DQNN_FAMILY_##family, DQNN_ISA_##isa};

#define DQNN_KERNEL(id, name, family, input, weights, output, variants) DQNN_EACH_VARIANT((id, name, family), variants)
#define DQNN_VARIANT(row, isa) DEFINE(isa, COLUMNS row)
#include "dqnn/kernels.def"

const dqnn_variant *const dqnn_all_kernels[] = {
#define DQNN_VARIANT(name, isa) &dqnn_variant_##name##_##isa,
#include "dqnn/kernels.def"
};

const uint32_t dqnn_all_kernel_count = sizeof dqnn_all_kernels / sizeof dqnn_all_kernels[0];
