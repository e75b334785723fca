/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* DSP extension (Cortex-M4, M7, M33, M55): the 3x3 look-ups of conv_nibbles.c for all outputs of a block of eight
 * channels. */
#ifndef DQNN_ISA_NIBBLES_DSP_H
#define DQNN_ISA_NIBBLES_DSP_H

#include <stdint.h>

/* It would tear the assembly apart. */
/* clang-format off */

/* What a look-up may read. */
typedef struct {
  int16_t half[32];
} dqnn_nibble_table;

/* Registers: r0 tables, r1 weights, r2 totals, r4 to r7 sums of pixels (0, 4), (1, 5), (2, 6), (3, 7), lr weight bytes,
 * r3 and r12 entries, r8 to r11 free. Tables of a kernel row take 1024 bytes, of four channels 512, of a code 32. On
 * the stack: end of the totals of the first pixel, bytes between the totals of neighbouring pixels. */
#define DQNN_NIBBLE_LOAD(entry, to0, to1, to2, to3, at)                                                                \
  "ldr " to0 ",[" entry ",#" at "]\n ldr " to1 ",[" entry ",#4+" at "]\n ldr " to2 ",[" entry ",#8+" at "]\n ldr " to3 \
  ",[" entry ",#12+" at "]\n"
#define DQNN_NIBBLE_ADD "sadd16 r4,r4,r8\n sadd16 r5,r5,r9\n sadd16 r6,r6,r10\n sadd16 r7,r7,r11\n"
/* Entries of both halves of a kernel cell; no address is used by the instruction after it. */
#define DQNN_NIBBLE_ENTRIES(bit) \
  "ubfx r12,lr,#" bit ",#4\n ubfx r3,lr,#" bit "+4,#4\n add r12,r0,r12,lsl #5\n add r3,r0,r3,lsl #5\n"
#define DQNN_NIBBLE_HIGH(at) DQNN_NIBBLE_LOAD("r3", "r8", "r9", "r10", "r11", "512+" at) DQNN_NIBBLE_ADD
/* One kernel cell: eight channels. */
#define DQNN_NIBBLE_TAP(bit, at) \
  DQNN_NIBBLE_ENTRIES(bit) DQNN_NIBBLE_LOAD("r12", "r8", "r9", "r10", "r11", at) DQNN_NIBBLE_ADD DQNN_NIBBLE_HIGH(at)
/* Adds the low or high halves of two sums to the totals at r12, and moves two pixels on. */
#define DQNN_NIBBLE_TOTALS(add_first, add_second)                \
  "ldr r8,[r12]\n ldr r9,[r12,r3]\n " add_first "\n " add_second \
  "\n str r8,[r12]\n str r9,[r12,r3]\n add r12,r12,r3,lsl #1\n"

__attribute__((naked, noinline, unused)) static void dqnn_nibbles_3x3(__attribute__((unused)) const uint32_t *tables,
                                                                      __attribute__((unused)) const uint8_t *weights,
                                                                      __attribute__((unused)) int32_t *totals,
                                                                      __attribute__((unused)) uint32_t outputs) {
  __asm__(
      ".syntax unified\n push {r2-r11,lr}\n lsls r3,r3,#2\n add r4,r2,r3\n strd r4,r3,[sp]\n"
      "1: ldr lr,[r1],#4\n"
      DQNN_NIBBLE_ENTRIES("0") DQNN_NIBBLE_LOAD("r12", "r4", "r5", "r6", "r7", "0") DQNN_NIBBLE_HIGH("0")
      DQNN_NIBBLE_TAP("8", "4") DQNN_NIBBLE_TAP("16", "8") DQNN_NIBBLE_TAP("24", "1024")
      "ldr lr,[r1],#4\n"
      DQNN_NIBBLE_TAP("0", "1028") DQNN_NIBBLE_TAP("8", "1032") DQNN_NIBBLE_TAP("16", "2048") DQNN_NIBBLE_TAP("24", "2052")
      "ldrb lr,[r1],#1\n"
      DQNN_NIBBLE_TAP("0", "2056")
      "ldr r3,[sp,#4]\n mov r12,r2\n"
      DQNN_NIBBLE_TOTALS("sxtah r8,r8,r4", "sxtah r9,r9,r5")
      DQNN_NIBBLE_TOTALS("sxtah r8,r8,r6", "sxtah r9,r9,r7")
      DQNN_NIBBLE_TOTALS("add r8,r8,r4,asr #16", "add r9,r9,r5,asr #16")
      DQNN_NIBBLE_TOTALS("add r8,r8,r6,asr #16", "add r9,r9,r7,asr #16")
      "ldr r8,[sp]\n adds r2,#4\n cmp r2,r8\n bne 1b\n pop {r2-r11,pc}");
}

/* Two outputs look up their codes, bits 0 to 7 and 8 to 15: the loads stand together, as only then they take a cycle each. */
#define DQNN_OWN_ADD_CODES
static inline __attribute__((always_inline)) void dqnn_add_codes(uint32_t codes, const int16_t *low, const int16_t *high, int32_t *a,
                                                                int32_t *b) {
  uint32_t t, u, v, w;
  __asm__(
      "ubfx %[t],%[codes],#0,#4\n ubfx %[u],%[codes],#4,#4\n ubfx %[v],%[codes],#8,#4\n ubfx %[w],%[codes],#12,#4\n"
      "ldrsh %[t],[%[low],%[t],lsl #1]\n ldrsh %[u],[%[high],%[u],lsl #1]\n ldrsh %[v],[%[low],%[v],lsl #1]\n"
      "ldrsh %[w],[%[high],%[w],lsl #1]\n add %[a],%[t]\n add %[a],%[u]\n add %[b],%[v]\n add %[b],%[w]"
      : [a] "+r"(*a), [b] "+r"(*b), [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v), [w] "=&r"(w)
      : [codes] "r"(codes), [low] "r"(low), [high] "r"(high), "m"(*(const dqnn_nibble_table *)(const void *)low));
}

/* clang-format on */

#endif
