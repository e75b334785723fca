/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What the compiler must not do with floats, so that they have the same bits everywhere: included before any
 * arithmetic. gcc has no pragma for it and needs -ffp-contract=off, which CMakeLists.txt gives. */
#ifndef DQNN_FLOAT_RULES_H
#define DQNN_FLOAT_RULES_H

#if defined(__FAST_MATH__) && !defined(DQNN_ALLOW_FAST_MATH)
#error "-ffast-math gives other bits than the host and takes NaN for impossible; DQNN_ALLOW_FAST_MATH if you must"
#endif

/* a * b + c rounds twice. */
#if defined(__clang__) || defined(__ICCARM__)
#pragma STDC FP_CONTRACT OFF
#endif

#endif
