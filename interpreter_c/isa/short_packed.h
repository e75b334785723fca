/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Packed weights on cores without halfword products (Cortex-M0+, M23): what isa/packed.h does in C for others, with the
 * sums of four channels and their blocks in registers. 2.8 cycles for a product of 4 bits. */
#ifndef DQNN_ISA_SHORT_PACKED_H
#define DQNN_ISA_SHORT_PACKED_H

#include <stdint.h>

/* clang-format off */

/* Registers: r0 inputs, r1 weights, r2 mask, r3 weights of four channels, r4 inputs of a pair, r5 product; r6 to r9 sums of a
 * block, r10, r11, r12, lr of all. Stack: end of the weights, start of a block, r8 to r11, acc. A block is entered in the middle
 * where words are no multiple of it. */
#define DQNN_SHORT_PACKED_CHANNEL(field, z) field "\n ands r5,r2\n muls r5,r4,r5\n add " z ",r5\n"
#define DQNN_SHORT_PACKED_PAIR(a, b, c, d)                                                                                \
  "ldm r0!,{r4}\n" DQNN_SHORT_PACKED_CHANNEL(a, "r6") DQNN_SHORT_PACKED_CHANNEL(b, "r7")                                  \
  DQNN_SHORT_PACKED_CHANNEL(c, "r8") DQNN_SHORT_PACKED_CHANNEL(d, "r9")
#define DQNN_SHORT_PACKED_BEGIN "ldr r5,[sp,#4]\n mov r6,r5\n mov r7,r5\n mov r8,r5\n mov r9,r5\n"
#define DQNN_SHORT_PACKED_TAKE(low, z, sum) low "lsrs r5," z ",#16\n add " sum ",r5\n"
#define DQNN_SHORT_PACKED_PUT(sum) "mov r5," sum "\n str r5,[r3]\n adds r3,r3,r4\n"
#define DQNN_SHORT_PACKED_FOUR(name, most, block, bytes, word)                                                            \
  __attribute__((naked, noinline, unused)) static void name(                                                              \
      __attribute__((unused)) const uint32_t *x, __attribute__((unused)) const uint32_t *w,                               \
      __attribute__((unused)) uint32_t words, __attribute__((unused)) int32_t *acc,                                       \
      __attribute__((unused)) int32_t begin, __attribute__((unused)) uint32_t start,                                      \
      __attribute__((unused)) uint32_t bytes_apart) {                                                                     \
    __asm__(".syntax unified\n push {r3-r7,lr}\n mov r4,r8\n mov r5,r9\n mov r6,r10\n mov r7,r11\n push {r4-r7}\n"        \
            "lsls r4,r2,#2\n adds r4,r4,r1\n ldr r5,[sp,#44]\n push {r4,r5}\n"                                            \
            "ldr r4,[sp,#48]\n mov r10,r4\n mov r11,r4\n mov r12,r4\n mov lr,r4\n" DQNN_SHORT_PACKED_BEGIN                \
            "rsbs r2,r2,#0\n movs r4,#" block "-1\n ands r2,r4\n movs r4,#" bytes "\n muls r4,r2,r4\n adr r5,3f\n"         \
            "adds r4,r4,r5\n movs r2,#" most "\n lsls r5,r2,#16\n orrs r2,r5\n mov pc,r4\n"                               \
            ".balign 4\n 3:\n .rept " block "\n ldm r1!,{r3}\n" word ".endr\n"                                            \
            DQNN_SHORT_PACKED_TAKE("", "r6", "r10") DQNN_SHORT_PACKED_TAKE("", "r7", "r11")                               \
            DQNN_SHORT_PACKED_TAKE("mov r5,r8\n", "r5", "r12") DQNN_SHORT_PACKED_TAKE("mov r5,r9\n", "r5", "lr")          \
            "ldr r3,[sp]\n cmp r1,r3\n beq 4f\n" DQNN_SHORT_PACKED_BEGIN "b 3b\n"                                         \
            "4: ldr r3,[sp,#24]\n ldr r4,[sp,#56]\n"                                                                      \
            DQNN_SHORT_PACKED_PUT("r10") DQNN_SHORT_PACKED_PUT("r11") DQNN_SHORT_PACKED_PUT("r12")                        \
            DQNN_SHORT_PACKED_PUT("lr")                                                                                   \
            "add sp,#8\n pop {r4-r7}\n mov r8,r4\n mov r9,r5\n mov r10,r6\n mov r11,r7\n pop {r3-r7,pc}");                \
  }
DQNN_SHORT_PACKED_FOUR(dqnn_short_packed_4, "15", "8", "36", DQNN_SHORT_PACKED_PAIR("movs r5,r3", "lsrs r5,r3,#4", "lsrs r5,r3,#8", "lsrs r5,r3,#12"))
DQNN_SHORT_PACKED_FOUR(dqnn_short_packed_2, "3", "4", "70",
                       DQNN_SHORT_PACKED_PAIR("movs r5,r3", "lsrs r5,r3,#2", "lsrs r5,r3,#4", "lsrs r5,r3,#6")
                       DQNN_SHORT_PACKED_PAIR("lsrs r5,r3,#8", "lsrs r5,r3,#10", "lsrs r5,r3,#12", "lsrs r5,r3,#14"))

/* clang-format on */

static inline void dqnn_packed_four(const uint32_t *x, const uint32_t *w, uint32_t words, uint32_t bits, uint32_t start,
                                    int32_t begin, int32_t *acc, uint32_t step) {
  if (bits == 4) {
    dqnn_short_packed_4(x, w, words, acc, begin, start, 4 * step);
  } else {
    dqnn_short_packed_2(x, w, words, acc, begin, start, 4 * step);
  }
}

#endif
