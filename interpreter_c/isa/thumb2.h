/* Armv7-M and Armv8-M main line (Cortex-M3, M4, M7, M33, M55): bit scan with CLZ, row adder in assembly.
 * The compiler needs 10 to 11 cycles per row for the C body of the adder in portable.h, this one 8.2 on a Cortex-M4 (estimated). */
#ifndef DQNN_ISA_THUMB2_H
#define DQNN_ISA_THUMB2_H

#include <stdint.h>

#define DQNN_HAVE_LIST_BITS
static inline __attribute__((always_inline)) uint16_t *dqnn_list_bits(uint16_t *list, uint32_t x, uint32_t first) {
  for (; x; x &= x - 1) *list++ = (uint16_t)(first + (uint32_t)__builtin_ctz(x));
  return list;
}

/* Registers of dqnn_add_rows: r2 list, r3 rows, r7 to r10 planes 1 to 4, r11, r12, lr carries that wait for planes 3, 4, 5;
 * r0, r1, r4, r5, r6 are free. Both macros leave the sum in their first plane. */
#define DQNN_HAVE_ADD_ROWS

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
      "ldr r5,[r4,#132]\n adds r2,#64\n adds r1,r5,#1\n str r1,[r4,#132]\n adds r4,#24\n"
      "2: lsrs r5,r5,#1\n bcc 3f\n ldr r1,[r4]\n ldr r6,[r4,#64]\n eors r1,r6\n eor r11,r1,r0\n str r11,[r4],#4\n"
      "eors r0,r6\n ands r0,r1\n eors r0,r6\n b 2b\n"
      "3: str r0,[r4,#64]\n ldr r1,[sp,#4]\n subs r1,#1\n str r1,[sp,#4]\n bne 10b\n"
      "ldr r0,[sp]\n adds r0,#4\n stm r0,{r7,r8,r9,r10}\n add sp,#8\n pop {r4-r11,pc}");
}

#endif
