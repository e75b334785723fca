/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Armv7-M and Armv8-M main line (Cortex-M3, M4, M7, M33, M55): bit scan with CLZ, row adder in assembly.
 * The compiler needs 10 to 11 cycles per row for the C body of the adder in portable.h, this one 8.2 on a Cortex-M4
 * (estimated). */
#ifndef DQNN_ISA_THUMB2_H
#define DQNN_ISA_THUMB2_H

#include <stdint.h>

#ifndef DQNN_OWN_LANE_COUNTERS
#include "counters.h"
#endif
#include "plans.h"

/* It would tear the assembly apart. */
/* clang-format off */

#define DQNN_OWN_LIST_BITS
static inline __attribute__((always_inline)) uint16_t *dqnn_list_bits(uint16_t *list, uint32_t x, uint32_t first) {
  for (; x; x &= x - 1) {
    *list++ = (uint16_t)(first + (uint32_t)__builtin_ctz(x));
  }
  return list;
}

#define DQNN_OWN_COPY_WORDS
static inline __attribute__((always_inline)) uint32_t *dqnn_copy_words(uint32_t *out, const uint32_t *in, uint32_t words) {
  for (; words > 2; words -= 3) {
    __asm__ volatile("ldmia %1!,{r2,r3,r12}\n stmia %0!,{r2,r3,r12}" : "+r"(out), "+r"(in) : : "r2", "r3", "r12", "memory");
  }
  for (; words > 0; words--) {
    __asm__ volatile("ldr r2,[%1],#4\n str r2,[%0],#4" : "+r"(out), "+r"(in) : : "r2", "memory");
  }
  return out;
}

#if DQNN_ARM_DSP
#define DQNN_OWN_ADD_BYTES
static inline __attribute__((always_inline)) uint32_t dqnn_add_bytes(uint32_t sum, uint32_t x) {
  __asm__("usada8 %0,%1,%2,%0" : "+r"(sum) : "r"(x), "r"(0));
  return sum;
}
#endif

#if DQNN_ARM_DSP
#define DQNN_OWN_PUSH_LESS
static inline __attribute__((always_inline)) uint32_t dqnn_push_less(uint32_t bits, int32_t a, int32_t b) {
  __asm__("qsub %1,%1,%2\n lsls %1,%1,#1\n rrx %0,%0" : "+r"(bits), "+r"(a) : "r"(b) : "cc");
  return bits;
}
#endif

#ifndef DQNN_OWN_ADD_ROWS
/* Registers of dqnn_add_rows: r2 list, r3 rows, r7 to r10 planes 1 to 4, r11, r12, lr carries that wait for planes 3, 4, 5;
 * r0, r1, r4, r5, r6 are free. Both macros leave the sum in their first plane. */
#define DQNN_OWN_ADD_ROWS

/* plane += waiting + r0, carry to `out` (may be r0). */
#define DQNN_ADD_CARRIES(plane, waiting, out)                                                          \
  "eor r6," plane "," waiting "\n eor " plane ",r6,r0\n eor r0," waiting "\n ands r0,r6\n eor " out "," \
  waiting ",r0\n"

/* Four rows into planes 1 and 2 (three full adders), carry of weight 8 to `out`. Offsets are those of the four list entries. */
#define DQNN_ADD_4_ROWS(entry0, entry1, entry2, entry3, out)                                               \
  "ldrh r0,[r2,#" entry0 "]\n ldrh r1,[r2,#" entry1 "]\n ldrh r4,[r2,#" entry2 "]\n ldrh r5,[r2,#" entry3  \
  "]\n ldr r0,[r3,r0,lsl #2]\n ldr r1,[r3,r1,lsl #2]\n ldr r4,[r3,r4,lsl #2]\n ldr r5,[r3,r5,lsl #2]\n"    \
  "eor r6,r7,r0\n eor r7,r6,r1\n eors r1,r0\n ands r1,r6\n eors r0,r1\n"                                   \
  "eor r6,r7,r4\n eor r7,r6,r5\n eors r5,r4\n ands r5,r6\n eors r4,r5\n"                                   \
  "eor r6,r8,r0\n eor r8,r6,r4\n eors r4,r0\n ands r4,r6\n eor " out ",r0,r4\n"

__attribute__((naked, noinline, unused)) static void dqnn_add_rows(__attribute__((unused)) uint32_t *counter,
                                                                   __attribute__((unused)) const uint16_t *list,
                                                                   __attribute__((unused)) uint32_t quads,
                                                                   __attribute__((unused)) const uint32_t *w) {
  __asm__(
      ".syntax unified\n cbnz r2,0f\n bx lr\n"
      /* stack: [sp] counter, [sp,#4] blocks to go. A first block of q < 8 quads begins 8 - q quads before its list entries. */
      "0: push {r4-r11,lr}\n sub sp,#8\n str r0,[sp]\n rsbs r4,r2,#0\n and r4,r4,#7\n sub r1,r1,r4,lsl #3\n"
      "adds r2,#7\n lsrs r2,r2,#3\n str r2,[sp,#4]\n mov r2,r1\n adds r0,#4\n ldm r0,{r7,r8,r9,r10}\n"
      "movs r5,#0\n mov r11,r5\n mov r12,r5\n mov lr,r5\n tbh [pc,r4,lsl #1]\n"
      "1: .short (10f-1b)/2,(11f-1b)/2,(12f-1b)/2,(13f-1b)/2,(14f-1b)/2,(15f-1b)/2,(16f-1b)/2,(17f-1b)/2\n"
      "10:\n" DQNN_ADD_4_ROWS("0", "2", "4", "6", "r11")
      "11:\n" DQNN_ADD_4_ROWS("8", "10", "12", "14", "r0") DQNN_ADD_CARRIES("r9", "r11", "r12")
      "12:\n" DQNN_ADD_4_ROWS("16", "18", "20", "22", "r11")
      "13:\n" DQNN_ADD_4_ROWS("24", "26", "28", "30", "r0") DQNN_ADD_CARRIES("r9", "r11", "r0")
          DQNN_ADD_CARRIES("r10", "r12", "lr")
      "14:\n" DQNN_ADD_4_ROWS("32", "34", "36", "38", "r11")
      "15:\n" DQNN_ADD_4_ROWS("40", "42", "44", "46", "r0") DQNN_ADD_CARRIES("r9", "r11", "r12")
      "16:\n" DQNN_ADD_4_ROWS("48", "50", "52", "54", "r11")
      "17:\n" DQNN_ADD_4_ROWS("56", "58", "60", "62", "r0") DQNN_ADD_CARRIES("r9", "r11", "r0")
          DQNN_ADD_CARRIES("r10", "r12", "r0")
      /* plane 5 lies in memory, then the carry of weight 64 counts on in planes 6 and up */
      "ldr r4,[sp]\n ldr r1,[r4,#20]\n" DQNN_ADD_CARRIES("r1", "lr", "r0") "str r1,[r4,#20]\n"
      "ldr r5,[r4,#4*" DQNN_TEXT(DQNN_BLOCKS) "]\n adds r2,#64\n adds r1,r5,#1\n str r1,[r4,#4*" DQNN_TEXT(DQNN_BLOCKS) "]\n"
      "adds r4,#4*" DQNN_TEXT(DQNN_FIRST_WAITING) "\n"
      "2: lsrs r5,r5,#1\n bcc 3f\n ldr r1,[r4]\n ldr r6,[r4,#4*" DQNN_TEXT(DQNN_PENDING) "]\n eors r1,r6\n eor r11,r1,r0\n str r11,[r4],#4\n"
      "eors r0,r6\n ands r0,r1\n eors r0,r6\n b 2b\n"
      "3: str r0,[r4,#4*" DQNN_TEXT(DQNN_PENDING) "]\n ldr r1,[sp,#4]\n subs r1,#1\n str r1,[sp,#4]\n bne 10b\n"
      "ldr r0,[sp]\n adds r0,#4\n stm r0,{r7,r8,r9,r10}\n add sp,#8\n pop {r4-r11,pc}");
}

#endif

/* ---- horizontal counting: nine words per step ---- */
#if DQNN_ARM_DSP
#define DQNN_OWN_COUNT_NINES

DQNN_WORD_IS(0, dqnn_count_plan, base);
DQNN_WORD_IS(1, dqnn_count_plan, outputs);
DQNN_WORD_IS(2, dqnn_count_plan, steps);
DQNN_WORD_IS(3, dqnn_count_plan, skip);

/* Registers of dqnn_count_nines: r0 x, r1 w, r12 steps to go, lr count; r2 to r11 are free. In the macros registers are numbers. */

/* Differences of three words: sum in s2, carry in s0. */
#define DQNN_THREE_WORDS(s0, s1, s2, w0, w1, w2)                                                           \
  "ldmia r0!,{r" s0 ",r" s1 ",r" s2 "}\n ldmia r1!,{r" w0 ",r" w1 ",r" w2 "}\n"                             \
  "eor r" s0 ",r" s0 ",r" w0 "\n eor r" s1 ",r" s1 ",r" w1 "\n eor r" s2 ",r" s2 ",r" w2 "\n"               \
  "eor r" w0 ",r" s0 ",r" s1 "\n eor r" w1 ",r" s0 ",r" s2 "\n eor r" s2 ",r" w0 ",r" s2 "\n"               \
  "and r" w1 ",r" w1 ",r" w0 "\n eor r" s0 ",r" w1 ",r" s0 "\n"
/* Bits of a to fields of two bits. */
#define DQNN_TO_PAIRS(a, free) "and r" free ",r" a ",#0xAAAAAAAA\n sub r" a ",r" a ",r" free ",lsr #1\n"
/* The bits of c, one word of which still has single bits, to the pairs of a (even bits) and b (odd bits). */
#define DQNN_ADD_SINGLES(a, b, c, free)                                                              \
  "and r" free ",r" c ",#0x55555555\n add r" a ",r" a ",r" free "\n and r" c ",r" c ",#0xAAAAAAAA\n" \
  "add r" b ",r" b ",r" c ",lsr #1\n"
/* The pairs of a and b to fields of four bits in sum. */
#define DQNN_TO_NIBBLES(sum, free, a, b)                                                                  \
  "and r" sum ",r" a ",#0x33333333\n and r" free ",r" b ",#0x33333333\n add r" sum ",r" sum ",r" free "\n" \
  "and r" a ",r" a ",#0xCCCCCCCC\n add r" sum ",r" sum ",r" a ",lsr #2\n"                                 \
  "and r" b ",r" b ",#0xCCCCCCCC\n add r" sum ",r" sum ",r" b ",lsr #2\n"
/* Nibbles of a to bytes in sum. */
#define DQNN_TO_BYTES(sum, a) \
  "and r" sum ",r" a ",#0x0F0F0F0F\n and r" a ",r" a ",#0xF0F0F0F0\n add r" sum ",r" sum ",r" a ",lsr #4\n"

__attribute__((naked, noinline, unused)) static void dqnn_count_nines(__attribute__((unused)) const uint32_t *x,
                                                                      __attribute__((unused)) const uint32_t *w,
                                                                      __attribute__((unused)) const dqnn_count_plan *plan,
                                                                      __attribute__((unused)) int32_t *acc) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#24\n"
      /* stack: x, steps, acc, outputs to go, base, bytes of w to skip after an output's steps */
      "ldm r2,{r4,r5,r6,r7}\n lsls r7,r7,#2\n strd r0,r6,[sp]\n strd r3,r5,[sp,#8]\n strd r4,r7,[sp,#16]\n"
      "1: ldrd r0,r12,[sp]\n movs r2,#0\n mov lr,r2\n"
      "2:\n" DQNN_THREE_WORDS("2", "3", "4", "5", "6", "7") DQNN_TO_PAIRS("4", "3") DQNN_TO_PAIRS("2", "3")
          DQNN_THREE_WORDS("3", "5", "6", "7", "8", "9") DQNN_TO_PAIRS("6", "5") DQNN_TO_PAIRS("3", "5")
          DQNN_THREE_WORDS("5", "7", "8", "9", "10", "11") DQNN_ADD_SINGLES("4", "6", "8", "7") DQNN_ADD_SINGLES("2", "3", "5", "7")
          DQNN_TO_NIBBLES("7", "9", "4", "6") DQNN_TO_NIBBLES("8", "9", "2", "3") DQNN_TO_BYTES("4", "7") DQNN_TO_BYTES("5", "8")
      "movs r2,#0\n add r4,r4,r5,lsl #1\n usada8 lr,r4,r2,lr\n subs r12,#1\n bne 2b\n"
      "ldr r4,[sp,#8]\n ldr r5,[sp,#12]\n ldr r2,[sp,#16]\n ldr r3,[sp,#20]\n sub r2,r2,lr,lsl #1\n str r2,[r4],#4\n add r1,r3\n"
      "subs r5,#1\n str r4,[sp,#8]\n str r5,[sp,#12]\n bne 1b\n add sp,#24\n pop {r4-r11,pc}");
}
#endif

/* ---- 3x3 windows of one-bit numbers ---- */
#define DQNN_OWN_NINE_SIGNS

DQNN_WORD_IS(0, dqnn_nine_plan, weights);
DQNN_WORD_IS(1, dqnn_nine_plan, presets);
DQNN_WORD_IS(2, dqnn_nine_plan, column);
DQNN_WORD_IS(3, dqnn_nine_plan, row);
DQNN_WORD_IS(4, dqnn_nine_plan, pixel);
DQNN_WORD_IS(5, dqnn_nine_plan, step);
DQNN_WORD_IS(6, dqnn_nine_plan, rows);
DQNN_WORD_IS(7, dqnn_nine_plan, skip);
_Static_assert(4 * DQNN_NINE_PLANES == 24, "a preset, in bytes");

/* Registers of dqnn_nine_signs: r0 cell, r1 weights, r2 column, r3 row, r12 last plane of the preset, lr output; r4 to r11 are free. */

/* Full adder of a, b, c: sum in a, carry in b; half is lost. Two-operand steps fit 16 bits where registers are low. */
#define DQNN_SUM_3(a, b, c, half)                                                                      \
  "eor " half "," a "," b "\n eor " a "," half "," c "\n eor " c "," c "," b "\n and " c "," c "," half \
  "\n eor " b "," b "," c "\n"
/* Carry of plane + number + carry, into carry; number is lost. */
#define DQNN_CARRY(plane, number, carry)                                                                             \
  "eor " number "," number "," plane "\n eor " carry "," carry "," plane "\n and " carry "," carry "," number "\n eor " \
  carry "," carry "," plane "\n"
#define DQNN_LOAD_TAPS(at, a, b, c) "ldr " a ",[" at "]\n ldr " b ",[" at ",r2]\n ldr " c ",[" at ",r2,lsl #1]\n"

__attribute__((naked, noinline, unused)) static void dqnn_nine_signs(__attribute__((unused)) const dqnn_nine_plan *plan,
                                                                     __attribute__((unused)) const uint32_t *x,
                                                                     __attribute__((unused)) uint32_t *out,
                                                                     __attribute__((unused)) uint32_t pixels) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#28\n"
      /* stack: end of the pixel's first cells, pixels to go, weights, presets, bytes of a pixel, bytes from its end to the next */
      "ldm r0,{r4-r9}\n adds r5,#20\n mov lr,r2\n mov r2,r6\n str r3,[sp,#4]\n mov r3,r7\n mov r0,r1\n strd r4,r5,[sp,#8]\n"
      "sub r9,r9,r8\n strd r8,r9,[sp,#16]\n"
      "1: ldrd r1,r12,[sp,#8]\n ldr r4,[sp,#16]\n add r4,r0\n str r4,[sp]\n"
      /* rows: ones and twos in r5 and r6, r7 and r8, r9 and r10 */
      "2:\n" DQNN_LOAD_TAPS("r0", "r5", "r6", "r7") "ldm r1!,{r8,r9,r10}\n eor r5,r5,r8\n eor r6,r6,r9\n eor r7,r7,r10\n"
          DQNN_SUM_3("r5", "r6", "r7", "r8") "add r4,r0,r3\n" DQNN_LOAD_TAPS("r4", "r7", "r8", "r9")
      "ldm r1!,{r4,r10,r11}\n eors r7,r4\n eor r8,r8,r10\n eor r9,r9,r11\n" DQNN_SUM_3("r7", "r8", "r9", "r4")
      "add r4,r0,r3,lsl #1\n" DQNN_LOAD_TAPS("r4", "r9", "r10", "r11") "ldr r4,[r1],#4\n eor r9,r9,r4\n ldr r4,[r1],#4\n"
      "eor r10,r10,r4\n ldr r4,[r1],#4\n eor r11,r11,r4\n" DQNN_SUM_3("r9", "r10", "r11", "r4")
      /* sum: ones r5, twos r6, fours r4, eights r8 */
          DQNN_SUM_3("r5", "r7", "r9", "r4") DQNN_SUM_3("r6", "r8", "r10", "r4")
      "and r9,r6,r7\n eors r6,r7\n eor r4,r8,r9\n and r8,r8,r9\n"
      "ldr r10,[r12,#-16]\n ldr r11,[r12,#-12]\n ldr r7,[r12,#-8]\n and r10,r10,r5\n" DQNN_CARRY("r11", "r6", "r10")
          DQNN_CARRY("r7", "r4", "r10") "ldr r11,[r12,#-4]\n ldr r6,[r12],#24\n" DQNN_CARRY("r11", "r8", "r10")
      "eor r10,r10,r6\n mvn r10,r10\n str r10,[lr],#4\n ldr r4,[sp]\n adds r0,#4\n cmp r0,r4\n bne 2b\n"
      "ldr r4,[sp,#20]\n ldr r5,[sp,#4]\n add r0,r4\n subs r5,#1\n str r5,[sp,#4]\n bne 1b\n add sp,#28\n pop {r4-r11,pc}");
}

/* ---- several windows side by side ---- */
#define DQNN_OWN_ADD_SLICES
enum { DQNN_SLICES_OF_16 = 31 }; /* as in portable.h */

DQNN_WORD_IS(0, dqnn_slice_plan, bits);
DQNN_WORD_IS(1, dqnn_slice_plan, weights);
DQNN_WORD_IS(2, dqnn_slice_plan, ones);
DQNN_WORD_IS(3, dqnn_slice_plan, columns);
DQNN_WORD_IS(4, dqnn_slice_plan, blocks);
DQNN_WORD_IS(5, dqnn_slice_plan, planes);
DQNN_WORD_IS(6, dqnn_slice_plan, pitch);
DQNN_WORD_IS(7, dqnn_slice_plan, step);

/* Registers of dqnn_add_slices: r0 bits, r1 weights, r2 ones, r3 a block's bits, r4 to r8 planes; r9 to r12 and lr are free. */

/* plane += a + b, carry to out; a is lost. */
#define DQNN_ADD_2(plane, a, b, out) \
  "and " out "," plane "," a "\n eor " plane "," plane "," a "\n and " a "," plane "," b "\n eor " plane "," plane "," b "\n orr " out "," out "," a "\n"
#define DQNN_ADD_1(plane, a, out) "and " out "," plane "," a "\n eor " plane "," plane "," a "\n"

/* Two weights into the ones. */
#define DQNN_ADD_SLICES(i, j, out)                                                                                  \
  "ldm r1!,{r9,r11}\n and lr,r2,r3,lsr #" i "\n mul r9,r9,lr\n and lr,r2,r3,lsr #" j "\n mul r11,r11,lr\n" \
  DQNN_ADD_2("r4", "r9", "r11", out)

__attribute__((naked, noinline, unused)) static void dqnn_add_slices(__attribute__((unused)) const dqnn_slice_plan *plan) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#28\n"
      /* stack: columns to go, blocks of a column, planes, pitch, step; blocks to go, the column's bits */
      "ldm r0,{r0-r7}\n strd r3,r4,[sp]\n strd r5,r6,[sp,#8]\n str r7,[sp,#16]\n ldm r5,{r4-r8}\n"
      "1: ldr r3,[sp,#4]\n str r0,[sp,#24]\n"
      "2: str r3,[sp,#20]\n ldr r3,[r0]\n ldr r9,[sp,#12]\n add r0,r9\n"
      "ldm r1!,{r9,r11}\n and lr,r2,r3\n mul r9,r9,lr\n and lr,r2,r3,lsr #1\n mul r11,r11,lr\n" DQNN_ADD_2("r4", "r9", "r11", "r10")
          DQNN_ADD_SLICES("2", "3", "r12") DQNN_ADD_2("r5", "r10", "r12", "r9") "mov r10,r9\n"
          DQNN_ADD_SLICES("4", "5", "r12") DQNN_ADD_SLICES("6", "7", "lr") DQNN_ADD_2("r5", "r12", "lr", "r9")
          DQNN_ADD_2("r6", "r10", "r9", "r11") DQNN_ADD_1("r7", "r11", "r9") "ands r10,r8,r9\n eor r8,r8,r9\n beq 4f\n"
      "ldr r9,[sp,#8]\n adds r9,#20\n"
      "3: ldr r11,[r9]\n eor r12,r11,r10\n str r12,[r9],#4\n ands r10,r10,r11\n bne 3b\n"
      "4: ldr r3,[sp,#20]\n subs r3,#1\n bne 2b\n"
      "ldr r0,[sp,#24]\n ldr r9,[sp,#16]\n ldr r3,[sp]\n add r0,r9\n adds r1,#4\n subs r3,#1\n str r3,[sp]\n bne 1b\n"
      "ldr r0,[sp,#8]\n stm r0,{r4-r8}\n add sp,#28\n pop {r4-r11,pc}");
}

/* ---- 5x5 windows of one-bit numbers ---- */
#define DQNN_OWN_25_SIGNS
_Static_assert(4 * DQNN_25_PLANES == 28, "a preset, in bytes");

/* Registers of dqnn_25_signs: r0 cell, r1 weights, r2 column, r3 from the second cell of a row to the next row, r4 to r8 planes,
 * lr rows to go; r9 to r12 are free. */

__attribute__((naked, noinline, unused)) static void dqnn_25_signs(__attribute__((unused)) const dqnn_nine_plan *plan,
                                                                   __attribute__((unused)) const uint32_t *x,
                                                                   __attribute__((unused)) uint32_t *out,
                                                                   __attribute__((unused)) uint32_t pixels) {
  __asm__(
      ".syntax unified\n push {r4-r11,lr}\n sub sp,#44\n"
      /* stack: output, pixels to go, weights, presets, bytes of a pixel, bytes from its end to the next; cell, preset, end of the
       * pixel's first cells; rows, skip */
      "ldm r0,{r4-r11}\n strd r10,r11,[sp,#36]\n strd r2,r3,[sp]\n strd r4,r5,[sp,#8]\n sub r9,r9,r8\n strd r8,r9,[sp,#16]\n mov r2,r6\n sub r3,r7,r6\n mov r0,r1\n"
      "1: ldrd r1,r5,[sp,#8]\n ldr r4,[sp,#16]\n add r4,r0\n strd r5,r4,[sp,#28]\n"
      "2: str r0,[sp,#24]\n movs r4,#0\n movs r5,#0\n movs r6,#0\n movs r7,#0\n mov r8,r4\n ldr lr,[sp,#36]\n"
      "3: ldr r9,[r0,r2,lsl #2]\n ldr r10,[r1,#16]\n ldr r11,[r0]\n ldr r12,[r1]\n eor r9,r9,r10\n"
          DQNN_ADD_1("r4", "r9", "r10") DQNN_ADD_1("r5", "r10", "r9") DQNN_ADD_1("r6", "r9", "r10") DQNN_ADD_1("r7", "r10", "r9")
      "eor r8,r8,r9\n ldr r9,[r0,r2]\n ldr r10,[r1,#4]\n eor r11,r11,r12\n eor r9,r9,r10\n" DQNN_ADD_2("r4", "r9", "r11", "r10")
      "ldr r9,[r0,r2,lsl #1]\n add r0,r2\n ldr r12,[r0,r2,lsl #1]\n ldr r11,[r1,#8]\n eor r9,r9,r11\n ldr r11,[r1,#12]\n eor r12,r12,r11\n"
          DQNN_ADD_2("r4", "r9", "r12", "r11") DQNN_ADD_2("r5", "r10", "r11", "r9") DQNN_ADD_1("r6", "r9", "r10") DQNN_ADD_1("r7", "r10", "r9")
      "eor r8,r8,r9\n add r0,r3\n adds r1,#20\n subs lr,lr,#1\n bne 3b\n"
      "ldr r9,[sp,#40]\n add r1,r9\n ldr lr,[sp,#28]\n ldm lr!,{r9,r10,r11,r12}\n and r10,r10,r4\n" DQNN_CARRY("r11", "r5", "r10") DQNN_CARRY("r12", "r6", "r10")
      "ldm lr!,{r4,r5,r6}\n str lr,[sp,#28]\n" DQNN_CARRY("r4", "r7", "r10") DQNN_CARRY("r5", "r8", "r10")
      "eor r10,r10,r6\n mvn r10,r10\n ldr r4,[sp]\n str r10,[r4],#4\n str r4,[sp]\n"
      "ldr r0,[sp,#24]\n ldr r4,[sp,#32]\n adds r0,#4\n cmp r0,r4\n bne 2b\n"
      "ldr r4,[sp,#20]\n ldr r5,[sp,#4]\n add r0,r4\n subs r5,#1\n str r5,[sp,#4]\n bne 1b\n add sp,#44\n pop {r4-r11,pc}");
}

/* clang-format on */

#endif
