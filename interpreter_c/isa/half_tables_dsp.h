/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* DSP extension (Cortex-M4, M7, M33, M55): sums of 16-bit table entries for the first layer, half_tables.h. */
#ifndef DQNN_ISA_HALF_TABLES_DSP_H
#define DQNN_ISA_HALF_TABLES_DSP_H

#include <stdint.h>

#include "plans.h"

/* It would tear the assembly apart. */
/* clang-format off */

#define DQNN_OWN_HALF_SIGNS

DQNN_WORD_IS(0, dqnn_half_channel, offsets);
DQNN_WORD_IS(1, dqnn_half_channel, threshold);
DQNN_WORDS_ARE(2, dqnn_half_channel);
_Static_assert(4 * DQNN_HALF_CODE == 16 && 4 * DQNN_HALF_ROW == 128, "a code and a table row, in bytes");

/* Registers: r0 channels, r1 tables, r2 and r12 results, r3 where they go, r4, r6, r7 entries of the three kernel rows, r5 threshold in
 * both halves, r8 to r11 and lr free. Bit n - 1 of r2 marks the end: it leaves the low half with the last of n channels. */

/* Two words of sums minus threshold, joined with AND into x; `at` is the byte offset of the words in an entry. */
#define DQNN_HALF_WORDS(x, y, s, t, at)                                                                            \
  "ldr " x ",[r4,#" at "]\n ldr " y ",[r4,#4+" at "]\n ldr " s ",[r6,#128+" at "]\n ldr " t ",[r6,#132+" at "]\n"  \
  "sadd16 " x "," x "," s "\n sadd16 " y "," y "," t "\n ldr " s ",[r7,#256+" at "]\n ldr " t ",[r7,#260+" at "]\n"  \
  "sadd16 " x "," x "," s "\n sadd16 " y "," y "," t "\n ssub16 " x "," x ",r5\n ssub16 " y "," y ",r5\n and " x "," \
  x "," y "\n"
/* Signs of two pooled pixels in r8: both conv rows. */
#define DQNN_HALF_PAIR(upper, lower) \
  DQNN_HALF_WORDS("r8", "r9", "r10", "r11", upper) DQNN_HALF_WORDS("r9", "r10", "r11", "lr", lower) \
  "and r8,r8,r9\n and r8,r8,#0x80008000\n"
#define DQNN_HALF_ENTER "push {r4-r11,lr}\n subs r2,#1\n movs r4,#1\n lsl r2,r4,r2\n mov r12,#0\n"
#define DQNN_HALF_LOOK_UP "1: ldr r7,[r0],#4\n ldr r5,[r0],#4\n uxtab r4,r1,r7\n uxtab r6,r1,r7,ror #8\n uxtab r7,r1,r7,ror #16\n"
#define DQNN_HALF_LEAVE "lsrs r2,r2,#1\n orr r2,r2,r8\n bcc 1b\n str r2,[r3]\n str r12,[r3,#4]\n pop {r4-r11,pc}"

__attribute__((naked, noinline, unused)) static void dqnn_half_signs_4(
    __attribute__((unused)) const dqnn_half_channel *channel, __attribute__((unused)) const uint32_t *tables,
    __attribute__((unused)) uint32_t channels, __attribute__((unused)) uint32_t bits[2]) {
  __asm__(".syntax unified\n" DQNN_HALF_ENTER DQNN_HALF_LOOK_UP DQNN_HALF_PAIR("8", "136") "orr r12,r8,r12,lsr #1\n"
          DQNN_HALF_PAIR("0", "128") DQNN_HALF_LEAVE);
}

__attribute__((naked, noinline, unused)) static void dqnn_half_signs_2(
    __attribute__((unused)) const dqnn_half_channel *channel, __attribute__((unused)) const uint32_t *tables,
    __attribute__((unused)) uint32_t channels, __attribute__((unused)) uint32_t bits[2]) {
  __asm__(".syntax unified\n" DQNN_HALF_ENTER DQNN_HALF_LOOK_UP DQNN_HALF_PAIR("0", "128") DQNN_HALF_LEAVE);
}

/* clang-format on */

#endif
