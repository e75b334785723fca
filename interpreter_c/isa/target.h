/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the compiler's target offers, asked here and nowhere else: each name is 1 or 0. The headers of isa/ choose by
 * them; kernels are written over the primitives and never look.
 *
 * DQNN_PORTABLE (tests compare the two) forces plain C wherever the headers have a choice. */
#ifndef DQNN_ISA_TARGET_H
#define DQNN_ISA_TARGET_H

#include "dqnn/dqnn_config.h"

/* Cortex-M3 and up: 32-bit Thumb instructions of the M profile. */
#if !defined(DQNN_PORTABLE) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define DQNN_ARM_THUMB2 1
#else
#define DQNN_ARM_THUMB2 0
#endif

/* Cortex-M4, M7, M33, M55: products and sums of halfwords, two at a time. */
#if !defined(DQNN_PORTABLE) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
#define DQNN_ARM_DSP 1
#else
#define DQNN_ARM_DSP 0
#endif

/* A single precision unit, whatever the calling convention. */
#if !defined(DQNN_PORTABLE) && defined(__thumb2__) && defined(__ARM_FP) && (__ARM_FP & 4)
#define DQNN_ARM_FPU 1
#else
#define DQNN_ARM_FPU 0
#endif

/* The same, and functions take floats in its registers (-mfloat-abi=hard). */
#if DQNN_ARM_FPU && defined(__ARM_PCS_VFP)
#define DQNN_ARM_VFP 1
#else
#define DQNN_ARM_VFP 0
#endif

/* Integer products and float steps of one layer share registers. */
#define DQNN_ARM_DSP_FPU (DQNN_ARM_DSP && DQNN_ARM_FPU)

/* Cores without a float unit, where an operation on floats is a call; those that cannot multiply to 64 bits either. */
#if !defined(DQNN_PORTABLE) && \
    ((defined(__thumb__) && !defined(__ARM_FP)) || (defined(__riscv) && !defined(__riscv_flen)))
#define DQNN_SOFT_FLOATS 1
#else
#define DQNN_SOFT_FLOATS 0
#endif
#if !defined(DQNN_PORTABLE) && defined(__thumb__) && !defined(__thumb2__)
#define DQNN_SHORT_PRODUCTS 1
#else
#define DQNN_SHORT_PRODUCTS 0
#endif

/* The same where a multiplication takes 32 cycles, which no compiler tells (DQNN_SLOW_MULTIPLY). */
#if DQNN_SHORT_PRODUCTS && DQNN_SLOW_MULTIPLY
#define DQNN_SLOW_PRODUCTS 1
#else
#define DQNN_SLOW_PRODUCTS 0
#endif

/* Cores with neither halfword products nor vectors, whose loads extend what they read (rv32, Cortex-M3). */
#if !defined(DQNN_PORTABLE) && !DQNN_ARM_DSP && (defined(__thumb2__) || (defined(__riscv) && !defined(__riscv_vector)))
#define DQNN_SCALARS 1
#else
#define DQNN_SCALARS 0
#endif

/* Compiled for size: assembly repeats less of itself. */
#if defined(__OPTIMIZE_SIZE__)
#define DQNN_SMALL 1
#else
#define DQNN_SMALL 0
#endif

/* Windows of small binary groups side by side: up to four times as fast, for 2 KB, which a firmware for Cortex-M3 and
 * up asks for. */
#if defined(DQNN_SMALL_GROUPS)
#define DQNN_SLICES DQNN_SMALL_GROUPS
#else
#define DQNN_SLICES (!DQNN_ARM_THUMB2 && !DQNN_SLOW_PRODUCTS && !DQNN_SMALL)
#endif

/* Hosts: a vector holds four floats, and the compiler knows its type. */
#if !defined(DQNN_PORTABLE) && defined(__GNUC__) && (defined(__SSE2__) || defined(__aarch64__))
#define DQNN_FOUR_FLOATS 1
#else
#define DQNN_FOUR_FLOATS 0
#endif

#endif
