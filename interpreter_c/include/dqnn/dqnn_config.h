/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Compile-time limits and switches. Every one can be set with -D, or all of them in a header of your own named by
 * -DDQNN_CONFIG_FILE='"my_config.h"'. The library and everything that includes kernel.h must see the same values. */
#ifndef DQNN_CONFIG_H
#define DQNN_CONFIG_H

#ifdef DQNN_CONFIG_FILE
#include DQNN_CONFIG_FILE
#endif

/* Most nodes a file may have, at most 65534, and most inputs and outputs of a model. They cost no memory but for a
 * pointer per node of the file at hand. */
#ifndef DQNN_MAX_NODES
#define DQNN_MAX_NODES 4096
#endif
#ifndef DQNN_MAX_PORTS
#define DQNN_MAX_PORTS 256
#endif

/* Bounds the time that checking a file can take, whatever it holds: so many steps for each of its bytes, unless
 * dqnn_options.work_limit says how many in all. A step reads and tests a word of a constant, or an eighth of a node on
 * the way back to who wrote a tensor: 1 to 2 ns on a PC, 20 to 30 cycles on a Cortex-M4. Beside the steps, a checksum
 * of every byte and a pass over the structure grow with the file alone. Real files take up to 3 steps per byte; large
 * kernels with borders of pad value 0 a few dozen, and a constant that many nodes share counts for each of them (256
 * may, however large it is). */
#ifndef DQNN_WORK_PER_BYTE
#define DQNN_WORK_PER_BYTE 64
#endif

/* 1: convolutions may have weights of 4 or 2 bits (SPEC.md 3.3). 0: files that have some are refused. */
#ifndef DQNN_PACKED_WEIGHTS
#define DQNN_PACKED_WEIGHTS 1
#endif

/* 1: a Cortex-M0, M0+ or M23 whose multiplier takes 32 cycles, which no compiler tells: most 8-bit products come from a
 * table of 1.5 KB instead. The same bytes; the CMake option DQNN_SLOW_MULTIPLY sets it. */
#ifndef DQNN_SLOW_MULTIPLY
#define DQNN_SLOW_MULTIPLY 0
#endif

/* DQNN_SMALL_GROUPS, 1 or 0: binary convolutions in groups of 8 and 16 take neighbouring windows side by side, up to
 * four times as fast, for 2 KB. The same bytes; the CMake option of that name sets it to 1. Not defined: 1 on cores
 * without 32-bit Thumb instructions, unless they are compiled for size. */

/* 1: dqnn_options.profile is honoured. 0: the calls are compiled out. */
#ifndef DQNN_PROFILE
#define DQNN_PROFILE 1
#endif

/* 1: plans say what scratch the variants of every instruction set need, for an exporter. 0: of those in this build. */
#ifndef DQNN_PLAN_ALL
#define DQNN_PLAN_ALL 0
#endif

/* Which variants besides `ref` the library was compiled with: 1 or 0, one per instruction set of DQNN_ISAS (dqnn.h).
 * Sources of the others compile to nothing, so a build may take every .c of src/ and kernels/. The CMake option
 * DQNN_ISAS sets them. */
#ifndef DQNN_HAVE_PORTABLE
#define DQNN_HAVE_PORTABLE \
  1 /* fast kernels, written once over the primitives of isa/; without them: 100 times slower */
#endif
#ifndef DQNN_HAVE_WINOGRAD
#if defined(__ARM_FEATURE_DSP)
#define DQNN_HAVE_WINOGRAD DQNN_HAVE_PORTABLE /* large 3x3 convolutions of files that give them scratch for it */
#else
#define DQNN_HAVE_WINOGRAD 0
#endif
#endif
#ifndef DQNN_HAVE_PACKED
#define DQNN_HAVE_PACKED (DQNN_HAVE_PORTABLE && DQNN_PACKED_WEIGHTS) /* convolutions with weights of 4 and 2 bits */
#endif
#ifndef DQNN_HAVE_MVE
#define DQNN_HAVE_MVE 0 /* Armv8.1-M Helium: Cortex-M55, M85 */
#endif
#ifndef DQNN_HAVE_AVX2
#define DQNN_HAVE_AVX2 0
#endif
#ifndef DQNN_HAVE_AVX512
#define DQNN_HAVE_AVX512 0
#endif
#ifndef DQNN_HAVE_VNNI
#define DQNN_HAVE_VNNI 0 /* AVX-512 VNNI; rests on AVX2 variants */
#endif
#ifndef DQNN_HAVE_NEON
#define DQNN_HAVE_NEON 0 /* every 64-bit Arm */
#endif
#ifndef DQNN_HAVE_DOTPROD
#define DQNN_HAVE_DOTPROD 0 /* those of them that have SDOT */
#endif

#endif
