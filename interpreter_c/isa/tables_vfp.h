/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Single-precision FPU: row tables of the first layer (isa_tables.h), six pixels in a register list. */
#ifndef DQNN_ISA_TABLES_VFP_H
#define DQNN_ISA_TABLES_VFP_H

#include <stdint.h>

/* It would tear the assembly apart. */
/* clang-format off */

#define DQNN_OWN_ROW_TABLES_F32

_Static_assert(DQNN_STRIP == 6 && DQNN_TABLE_ROWS == 4, "rows of 24 bytes in codes of 96");

#define DQNN_VFP_6(op, a0, a1, a2, a3, a4, a5, b0, b1, b2, b3, b4, b5, c0, c1, c2, c3, c4, c5)                        \
  op " s" #a0 ",s" #b0 ",s" #c0 "\n " op " s" #a1 ",s" #b1 ",s" #c1 "\n " op " s" #a2 ",s" #b2 ",s" #c2 "\n " op " s" \
  #a3 ",s" #b3 ",s" #c3 "\n " op " s" #a4 ",s" #b4 ",s" #c4 "\n " op " s" #a5 ",s" #b5 ",s" #c5 "\n"
/* One code of a row: s20 to s25; stored at byte `at` behind r3. */
#define DQNN_VFP_SUMS(op, b0, b1, b2, b3, b4, b5, c0, c1, c2, c3, c4, c5) \
  DQNN_VFP_6(op, 20, 21, 22, 23, 24, 25, b0, b1, b2, b3, b4, b5, c0, c1, c2, c3, c4, c5)
#define DQNN_VFP_STORE(at) "add r12,r3,#" #at "\n vstmia r12,{s20-s25}\n"

/* s0-s7 inputs, s8-s13 x0 + x1, s14-s19 0 - x2, s26-s31 x0 - x1; s20 is 0 at first. r3: table of the row, r1: rows to go. */
__attribute__((naked, noinline, unused)) static void dqnn_row_tables_f32(__attribute__((unused)) const float *x,
                                                                         __attribute__((unused)) uint32_t pitch,
                                                                         __attribute__((unused)) float *tables) {
  __asm__(
      ".syntax unified\n push {r4,lr}\n vpush {s16-s31}\n lsls r4,r1,#2\n movs r1,#4\n mov r3,r2\n movs r2,#0\n"
      "1: vldmia r0,{s0-s7}\n vmov s20,r2\n add r0,r4\n"
      DQNN_VFP_6("vadd.f32", 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 20, 20, 20, 20, 20, 20)
      "vadd.f32 s6,s6,s20\n vadd.f32 s7,s7,s20\n"
      DQNN_VFP_6("vadd.f32", 8, 9, 10, 11, 12, 13, 0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6)
      DQNN_VFP_6("vsub.f32", 14, 15, 16, 17, 18, 19, 20, 20, 20, 20, 20, 20, 2, 3, 4, 5, 6, 7)
      DQNN_VFP_6("vsub.f32", 26, 27, 28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6)
      DQNN_VFP_SUMS("vadd.f32", 8, 9, 10, 11, 12, 13, 2, 3, 4, 5, 6, 7) "vstmia r3,{s20-s25}\n"
      DQNN_VFP_SUMS("vsub.f32", 2, 3, 4, 5, 6, 7, 26, 27, 28, 29, 30, 31) DQNN_VFP_STORE(96)
      DQNN_VFP_SUMS("vadd.f32", 26, 27, 28, 29, 30, 31, 2, 3, 4, 5, 6, 7) DQNN_VFP_STORE(192)
      DQNN_VFP_SUMS("vsub.f32", 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13) DQNN_VFP_STORE(288)
      DQNN_VFP_SUMS("vsub.f32", 8, 9, 10, 11, 12, 13, 2, 3, 4, 5, 6, 7) DQNN_VFP_STORE(384)
      DQNN_VFP_SUMS("vsub.f32", 14, 15, 16, 17, 18, 19, 26, 27, 28, 29, 30, 31) DQNN_VFP_STORE(480)
      DQNN_VFP_SUMS("vsub.f32", 26, 27, 28, 29, 30, 31, 2, 3, 4, 5, 6, 7) DQNN_VFP_STORE(576)
      DQNN_VFP_SUMS("vsub.f32", 14, 15, 16, 17, 18, 19, 8, 9, 10, 11, 12, 13) DQNN_VFP_STORE(672)
      "adds r3,#24\n subs r1,#1\n bne 1b\n vpop {s16-s31}\n pop {r4,pc}");
}

/* Registers of the two functions below: r0 weights, r1 thresholds, r2, r3, r4 tables from rows 0, 1, 2 on, r11 bytes of a code, r8 to
 * r10 results. With n channels bit n - 1 of r8 is set at first: it leaves r8 with the last push and ends the loop. */
#define DQNN_VFP_ENTER ".syntax unified\n push {r4-r11,lr}\n subs r3,#1\n movs r8,#1\n lsls r8,r3\n add r3,r2,#24\n add r4,r2,#48\n mov r11,#96\n"

/* Addresses of the table entries for the three kernel rows of a channel, in r5, r6, r7; its threshold in register t. */
#define DQNN_VFP_LOOK_UP(t)                                                                          \
  "ldrh r5,[r0],#2\n vldmia r1!,{" t "}\n ubfx r6,r5,#3,#3\n ubfx r7,r5,#6,#3\n and r5,r5,#7\n" \
  "mla r5,r5,r11,r2\n mla r6,r6,r11,r3\n mla r7,r7,r11,r4\n"
/* Pushes the sign that all four sums share. */
#define DQNN_VFP_PUSH(word, a, b, c, d)                                                                                 \
  "vmov r5,r6,s" #a ",s" #b "\n vmov r7,r12,s" #c ",s" #d "\n ands r5,r6\n and r7,r7,r12\n ands r5,r7\n lsls r5,r5,#1\n " \
  "rrxs " word "," word "\n"
/* The sums of both conv rows plus the entries of a kernel row. */
#define DQNN_VFP_ADD_ROW                                                                                       \
  DQNN_VFP_6("vadd.f32", 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17)                           \
  DQNN_VFP_6("vadd.f32", 6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23)

/* Three pooled pixels: sums of the upper conv row in s0-s5, of the lower in s6-s11; the tables of two rows lie side by side. */
__attribute__((naked, noinline, unused)) static void dqnn_row_signs_f32_3(
    __attribute__((unused)) const uint8_t *weights, __attribute__((unused)) const float *thresholds,
    __attribute__((unused)) const float *tables, __attribute__((unused)) uint32_t channels,
    __attribute__((unused)) uint32_t words[3]) {
  __asm__(
      DQNN_VFP_ENTER "vpush {s16-s24}\n 1:\n" DQNN_VFP_LOOK_UP("s24") "vldmia r5,{s0-s11}\n vldmia r6,{s12-s23}\n" DQNN_VFP_ADD_ROW
      "vldmia r7,{s12-s23}\n" DQNN_VFP_ADD_ROW
      DQNN_VFP_6("vsub.f32", 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 24, 24, 24, 24, 24, 24)
      DQNN_VFP_6("vsub.f32", 6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11, 24, 24, 24, 24, 24, 24)
      DQNN_VFP_PUSH("r9", 2, 3, 8, 9) DQNN_VFP_PUSH("r10", 4, 5, 10, 11) DQNN_VFP_PUSH("r8", 0, 1, 6, 7)
      "bcc 1b\n" "vpop {s16-s24}\n ldr r5,[sp,#36]\n stm r5,{r8-r10}\n pop {r4-r11,pc}");
}

/* One pooled pixel: sums in s0, s1 and s6, s7. */
__attribute__((naked, noinline, unused)) static void dqnn_row_signs_f32_1(
    __attribute__((unused)) const uint8_t *weights, __attribute__((unused)) const float *thresholds,
    __attribute__((unused)) const float *tables, __attribute__((unused)) uint32_t channels,
    __attribute__((unused)) uint32_t words[1]) {
  __asm__(
      DQNN_VFP_ENTER "1:\n" DQNN_VFP_LOOK_UP("s12")
      "vldmia r5,{s0,s1}\n vldr s6,[r5,#24]\n vldr s7,[r5,#28]\n vldmia r6,{s2,s3}\n vldr s8,[r6,#24]\n vldr s9,[r6,#28]\n"
      "vldmia r7,{s4,s5}\n vldr s10,[r7,#24]\n vldr s11,[r7,#28]\n"
      "vadd.f32 s0,s0,s2\n vadd.f32 s1,s1,s3\n vadd.f32 s6,s6,s8\n vadd.f32 s7,s7,s9\n"
      "vadd.f32 s0,s0,s4\n vadd.f32 s1,s1,s5\n vadd.f32 s6,s6,s10\n vadd.f32 s7,s7,s11\n"
      "vsub.f32 s0,s0,s12\n vsub.f32 s1,s1,s12\n vsub.f32 s6,s6,s12\n vsub.f32 s7,s7,s12\n" DQNN_VFP_PUSH("r8", 0, 1, 6, 7)
      "bcc 1b\n" "ldr r5,[sp,#36]\n str r8,[r5]\n pop {r4-r11,pc}");
}

/* clang-format on */

#endif
