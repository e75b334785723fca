/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* How the bit-sliced counter of portable.h and thumb2.h lies in memory: 32 lanes, plane p holding bit p, in an array of
 * words. Macros, because assembly takes offsets as text. mve.h has another counter.
 *
 * dqnn_add_rows adds rows in blocks: of 32, and each call begins with one that may be shorter, so that there can be as
 * many blocks as rows. Planes 1 to 5 are kept up to date; a block leaves one carry of weight 64, and these count on in
 * planes 6 and up as the bits of a binary counter do: the next carry for a plane waits until there are two. */
#ifndef DQNN_ISA_COUNTERS_H
#define DQNN_ISA_COUNTERS_H

#define DQNN_PLANES 16       /* planes 0 to 15: a two's complement number per lane */
#define DQNN_FIRST_WAITING 6 /* the planes for which carries wait ... */
#define DQNN_LAST_WAITING 20 /* ... beyond the number's own if there are more than 2^10 blocks */
#define DQNN_PENDING 16      /* word 16 + p: the carry that waits to be added to plane p */
#define DQNN_BLOCKS 37       /* word 37: blocks added; bit p - 6 says whether a carry waits for plane p */
#define DQNN_COUNTER_WORDS 38

/* Blocks that a counter takes: after them a carry waits for every plane. */
#define DQNN_MOST_BLOCKS ((1 << (DQNN_LAST_WAITING - DQNN_FIRST_WAITING + 1)) - 1)

_Static_assert(DQNN_BLOCKS > DQNN_PENDING + DQNN_LAST_WAITING, "the last carry has a word of its own");
_Static_assert(DQNN_PENDING + DQNN_FIRST_WAITING >= DQNN_LAST_WAITING, "planes end before the carries that wait");
_Static_assert(DQNN_COUNTER_WORDS > DQNN_BLOCKS, "words");

#define DQNN_TEXT_OF(x) #x
#define DQNN_TEXT(x) DQNN_TEXT_OF(x)

#endif
