/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Kernel sets: which kernels a firmware contains. dqnn_options.kernels is an array of pointers to variants, best first
 * for each kernel. `dqnn_all_kernels` names every variant that was compiled; a firmware that runs known models lists
 * its own
 *
 *     static const dqnn_variant *const kernels[] = {&dqnn_variant_conv_f32_s1_s1_ref, &dqnn_variant_softmax_f32_ref};
 *
 * and the linker drops the rest (--gc-sections). `dqnn inspect --kernel-set` writes the list that a file needs. */
#ifndef DQNN_KERNELS_H
#define DQNN_KERNELS_H

#include "dqnn.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const dqnn_variant *const dqnn_all_kernels[];
extern const uint32_t dqnn_all_kernel_count;

#define DQNN_VARIANT(name, isa) extern const dqnn_variant dqnn_variant_##name##_##isa;
#include "kernels.def"

#define DQNN_KERNEL(id, name, family, input, weights, output, variants) DQNN_KERNEL_##name = (id),
enum {
#include "kernels.def"
  DQNN_KERNEL_NONE = 0xFFFF /* no kernel's id: DQNN_NONE of reports */
};

#ifdef __cplusplus
}
#endif
#endif
