/* Compile-time limits and switches. Every one can be set with -D, or all of them in a header of your own named by
 * -DDQNN_CONFIG_FILE='"my_config.h"'. The library and everything that includes kernel.h must see the same values. */
#ifndef DQNN_CONFIG_H
#define DQNN_CONFIG_H

#ifdef DQNN_CONFIG_FILE
#include DQNN_CONFIG_FILE
#endif

/* Most nodes a file may have, at most 65534. Bounds the time that checking a hostile file can take (which can grow with
 * the square of this); costs no memory. */
#ifndef DQNN_MAX_NODES
#define DQNN_MAX_NODES 4096
#endif

/* 1: dqnn_options.profile is honoured. 0: the calls are compiled out. */
#ifndef DQNN_PROFILE
#define DQNN_PROFILE 1
#endif

/* Which variants besides `ref` the library was compiled with: 1 or 0, one per instruction set of DQNN_ISAS (dqnn.h).
 * kernels.def guards its DQNN_VARIANT lines with these; the CMake option DQNN_ISAS sets them. */
#ifndef DQNN_HAVE_PORTABLE
#define DQNN_HAVE_PORTABLE 0 /* optimized portable C */
#endif
#ifndef DQNN_HAVE_THUMB2
#define DQNN_HAVE_THUMB2 0 /* Cortex-M3 and up */
#endif
#ifndef DQNN_HAVE_DSP
#define DQNN_HAVE_DSP 0 /* Armv7E-M / Armv8-M DSP extension: Cortex-M4, M7, M33 */
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

#endif
