/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* DQNN_EACH_VARIANT(name, avx2 portable ref) is DQNN_VARIANT(name, avx2) DQNN_VARIANT(name, portable)
 * DQNN_VARIANT(name, ref), without those that the build has not: the only place that leaves variants out. A new
 * instruction set takes a DQNN_WORD_ and a DQNN_IF_.
 *
 * DQNN_WORD_##words joins the first word alone, which becomes that word and a comma: the next macro sees two arguments,
 * the word and those behind it. One step for each word that a list can have; more of them do not compile. */
#ifndef DQNN_VARIANTS_H
#define DQNN_VARIANTS_H

#include "dqnn_config.h"

#define DQNN_EACH_VARIANT(name, words) DQNN_STEP_1(name, DQNN_WORD_##words)

#define DQNN_STEP_1(name, words) DQNN_SPLIT_1(name, words)
#define DQNN_STEP_2(name, words) DQNN_SPLIT_2(name, words)
#define DQNN_STEP_3(name, words) DQNN_SPLIT_3(name, words)
#define DQNN_STEP_4(name, words) DQNN_SPLIT_4(name, words)
#define DQNN_STEP_5(name, words) DQNN_SPLIT_5(name, words)
#define DQNN_STEP_6(name, words) DQNN_SPLIT_6(name, words)
#define DQNN_STEP_7(name, words) DQNN_SPLIT_7(name, words)
#define DQNN_STEP_8(name, words) DQNN_SPLIT_8(name, words)
#define DQNN_STEP_9(name, words) DQNN_SPLIT_9(name, words)
#define DQNN_SPLIT_1(name, word, others) DQNN_IF_##word(name) DQNN_STEP_2(name, DQNN_WORD_##others)
#define DQNN_SPLIT_2(name, word, others) DQNN_IF_##word(name) DQNN_STEP_3(name, DQNN_WORD_##others)
#define DQNN_SPLIT_3(name, word, others) DQNN_IF_##word(name) DQNN_STEP_4(name, DQNN_WORD_##others)
#define DQNN_SPLIT_4(name, word, others) DQNN_IF_##word(name) DQNN_STEP_5(name, DQNN_WORD_##others)
#define DQNN_SPLIT_5(name, word, others) DQNN_IF_##word(name) DQNN_STEP_6(name, DQNN_WORD_##others)
#define DQNN_SPLIT_6(name, word, others) DQNN_IF_##word(name) DQNN_STEP_7(name, DQNN_WORD_##others)
#define DQNN_SPLIT_7(name, word, others) DQNN_IF_##word(name) DQNN_STEP_8(name, DQNN_WORD_##others)
#define DQNN_SPLIT_8(name, word, others) DQNN_IF_##word(name) DQNN_STEP_9(name, DQNN_WORD_##others)
#define DQNN_SPLIT_9(name, word, others) DQNN_IF_##word(name) DQNN_LAST_##others

#define DQNN_WORD_avx2 avx2,
#define DQNN_WORD_avx512 avx512,
#define DQNN_WORD_dotprod dotprod,
#define DQNN_WORD_mve mve,
#define DQNN_WORD_neon neon,
#define DQNN_WORD_packed packed,
#define DQNN_WORD_portable portable,
#define DQNN_WORD_vnni vnni,
#define DQNN_WORD_winograd winograd,
#define DQNN_WORD_ref ref, dqnn_end
#define DQNN_WORD_dqnn_end dqnn_end, dqnn_end

#define DQNN_IF_ref(name) DQNN_VARIANT(name, ref)
#define DQNN_IF_dqnn_end(name)
#define DQNN_LAST_dqnn_end

#if DQNN_HAVE_AVX2
#define DQNN_IF_avx2(name) DQNN_VARIANT(name, avx2)
#else
#define DQNN_IF_avx2(name)
#endif

#if DQNN_HAVE_AVX512
#define DQNN_IF_avx512(name) DQNN_VARIANT(name, avx512)
#else
#define DQNN_IF_avx512(name)
#endif

#if DQNN_HAVE_DOTPROD
#define DQNN_IF_dotprod(name) DQNN_VARIANT(name, dotprod)
#else
#define DQNN_IF_dotprod(name)
#endif

#if DQNN_HAVE_MVE
#define DQNN_IF_mve(name) DQNN_VARIANT(name, mve)
#else
#define DQNN_IF_mve(name)
#endif

#if DQNN_HAVE_NEON
#define DQNN_IF_neon(name) DQNN_VARIANT(name, neon)
#else
#define DQNN_IF_neon(name)
#endif

#if DQNN_HAVE_PACKED
#define DQNN_IF_packed(name) DQNN_VARIANT(name, packed)
#else
#define DQNN_IF_packed(name)
#endif

#if DQNN_HAVE_PORTABLE
#define DQNN_IF_portable(name) DQNN_VARIANT(name, portable)
#else
#define DQNN_IF_portable(name)
#endif

#if DQNN_HAVE_VNNI
#define DQNN_IF_vnni(name) DQNN_VARIANT(name, vnni)
#else
#define DQNN_IF_vnni(name)
#endif

#if DQNN_HAVE_WINOGRAD
#define DQNN_IF_winograd(name) DQNN_VARIANT(name, winograd)
#else
#define DQNN_IF_winograd(name)
#endif

#endif
