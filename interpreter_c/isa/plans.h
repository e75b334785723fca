/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What some primitives are told besides their pointers. Assembly reads the fields by their places. */
#ifndef DQNN_ISA_PLANS_H
#define DQNN_ISA_PLANS_H

#include <stddef.h>
#include <stdint.h>

/* The assembly that reads a field says where it takes it to be: in words, as pointers of those cores have 32 bits. */
#define DQNN_WORD_IS(word, type, field) _Static_assert(offsetof(type, field) == 4 * (word), "assembly reads " #field)
#define DQNN_WORDS_ARE(words, type) _Static_assert(sizeof(type) == 4 * (words), "assembly reads " #type)

/* What an instruction reads from a pointer to the first of them. */
typedef struct {
  uint32_t word[4];
} dqnn_four_words;

/* dqnn_count_nines */
typedef struct {
  int32_t base;     /* what an output with no differing bit has */
  uint32_t outputs; /* at least 1 */
  uint32_t steps;   /* of nine words per output, at least 1 */
  uint32_t skip;    /* words of w between the last step of an output and the first of the next */
} dqnn_count_plan;

/* dqnn_add_slices */
typedef struct {
  const uint8_t *bits;      /* of the first block of eight weights: eight bits for each field */
  const uint32_t *weights;  /* a column's blocks, then one word that is left out */
  uint32_t ones;            /* the lowest bit of each field */
  uint32_t columns, blocks; /* blocks: of a column */
  uint32_t *planes;         /* of the counter, the first that counts */
  uint32_t pitch, step;     /* bytes of bits from a block to the next, and from a column to the next */
} dqnn_slice_plan;

/* dqnn_nine_signs, dqnn_25_signs; the distances are in bytes */
enum { DQNN_NINE_PLANES = 6, DQNN_25_PLANES = 7 }; /* of the preset of a 3x3 and of a 5x5 window */
typedef struct {
  const uint32_t *weights; /* a word per tap and word of a pixel */
  const uint32_t *presets; /* planes per word of a pixel */
  uint32_t column, row;    /* from a tap to its right and to its lower neighbour */
  uint32_t pixel;          /* size of a pixel */
  uint32_t step;           /* from a window to the next */
  uint32_t rows, skip;     /* dqnn_25_signs: rows of a window that are looked at; the weights of the others */
} dqnn_nine_plan;

#endif
