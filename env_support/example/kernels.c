/* 4 of dqnn's 109 kernels: all that the models need. Made by `dqnn inspect
 * --kernel-set`. Pass it to dqnn_init, link with --gc-sections: no other kernel stays in the firmware.
 *
 *   extern const dqnn_variant *const model_kernels[];
 *   extern const uint32_t model_kernels_count;
 *   dqnn_options options = {.kernels = model_kernels, .kernel_count = model_kernels_count};
 */
#include "dqnn/dqnn_kernels.h"

extern const dqnn_variant *const model_kernels[];
extern const uint32_t model_kernels_count;

const dqnn_variant *const model_kernels[] = {
#if DQNN_HAVE_AVX2
    &dqnn_variant_conv_f32_s1_s1_avx2,
#endif
#if DQNN_HAVE_NEON
    &dqnn_variant_conv_f32_s1_s1_neon,
#endif
#if DQNN_HAVE_PORTABLE
    &dqnn_variant_conv_f32_s1_s1_portable,
#endif
#if !DQNN_HAVE_PORTABLE
    &dqnn_variant_conv_f32_s1_s1_ref,
#endif
#if DQNN_HAVE_AVX512
    &dqnn_variant_conv_s1_s1_s1_avx512,
#endif
#if DQNN_HAVE_AVX2
    &dqnn_variant_conv_s1_s1_s1_avx2,
#endif
#if DQNN_HAVE_NEON
    &dqnn_variant_conv_s1_s1_s1_neon,
#endif
#if DQNN_HAVE_MVE
    &dqnn_variant_conv_s1_s1_s1_mve,
#endif
#if DQNN_HAVE_PORTABLE
    &dqnn_variant_conv_s1_s1_s1_portable,
#endif
#if !DQNN_HAVE_PORTABLE
    &dqnn_variant_conv_s1_s1_s1_ref,
#endif
#if DQNN_HAVE_PORTABLE
    &dqnn_variant_convh_s1_s1_f32_portable,
#endif
#if !DQNN_HAVE_PORTABLE
    &dqnn_variant_convh_s1_s1_f32_ref,
#endif
    &dqnn_variant_softmax_f32_ref,
};
const uint32_t model_kernels_count = sizeof model_kernels / sizeof model_kernels[0];
