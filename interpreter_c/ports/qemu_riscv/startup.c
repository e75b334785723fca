/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* RISC-V, machine mode, without a library: reset, crash reports, the cycle counter as a clock, and the instructions
 * that call the semihosting host. */
#include "board.h"
#include "semihosting.h"

/* Of the linker script: only their addresses mean something. */
extern uint32_t __stack_top, __stack_limit, __bss_start, __bss_end;
extern uint8_t __memory_start, __model_start, __model_end;

void reset_handler(void);
void trap_handler(void);
void start(void);
void trapped(void);

#define READ_CSR(name, value) __asm__ volatile("csrr %0, " #name : "=r"(value))

__attribute__((naked, section(".reset"), used)) void reset_handler(void) {
  __asm__ volatile(
      "la sp, __stack_top\n"
      "la t0, trap_handler\n"
      "csrw mtvec, t0\n"
      "j start\n");
}

void start(void) {
  for (uint32_t *word = &__bss_start; word < &__bss_end; ++word) {
    *word = 0;
  }
  host_exit(run());
}

/* The stack may be what broke: the report runs on a fresh one. */
__attribute__((naked, aligned(4))) void trap_handler(void) {
  __asm__ volatile(
      "la sp, __stack_top\n"
      "j trapped\n");
}

void trapped(void) {
  uint32_t cause;
  uint32_t pc;
  uint32_t value;
  READ_CSR(mcause, cause);
  READ_CSR(mepc, pc);
  READ_CSR(mtval, value);
  run_crashed(cause, pc, cause, value);
}

void board_clock_start(void) {
}

uint64_t board_clock(void) {
  uint32_t high;
  uint32_t low;
  uint32_t again;
  do {
    READ_CSR(mcycleh, high);
    READ_CSR(mcycle, low);
    READ_CSR(mcycleh, again);
  } while (high != again);
  return ((uint64_t)high << 32) | low;
}

board_info board(void) {
  const board_info info = {
      .model = &__model_start,
      .model_bytes = (uint32_t)(&__model_end - &__model_start),
      .memory = &__memory_start,
      .memory_bytes = (uint32_t)((uint8_t *)&__stack_limit - &__memory_start),
      .stack_limit = &__stack_limit,
  };
  return info;
}

/* Three uncompressed instructions in one line of the cache are the signal. Aligned while two bytes are an instruction:
 * a linker that relaxes cannot place the line otherwise. */
__attribute__((noinline, aligned(16))) intptr_t host_call(uintptr_t operation, const void *argument) {
  register uintptr_t a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;
  __asm__ volatile(
      ".balign 16\n"
      ".option push\n"
      ".option norvc\n"
      "slli x0, x0, 0x1f\n"
      "ebreak\n"
      "srai x0, x0, 7\n"
      ".option pop\n"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return (intptr_t)a0;
}
