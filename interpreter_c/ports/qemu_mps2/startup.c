/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cortex-M without a vendor's library: vector table, reset, crash reports, SysTick as a clock, and the instruction that
 * calls the semihosting host. Serves Armv6-M to Armv8.1-M. */
#include <stdbool.h>

#include "board.h"
#include "semihosting.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CFSR REGISTER(0xE000ED28u)
#define SCB_BFAR REGISTER(0xE000ED38u)

enum { SYSTICK_ON = 7, SYSTICK_RELOAD = 0xFFFFFF, CCR_LOW_OVERHEAD_LOOPS = 1 << 19 };

/* Of the linker script: only their addresses mean something. */
extern uint32_t __stack_top, __stack_limit, __data_source, __data_start, __data_end, __bss_start, __bss_end;
extern uint8_t __memory_start, __model_start, __model_bytes;

void reset_handler(void);
void crash_handler(void);
void systick_handler(void);
void start(void);
void crashed(const uint32_t *frame);

typedef void (*handler)(void);

typedef struct {
  uint32_t *stack;
  handler exceptions[15];
} vector_table;

#define CRASH crash_handler

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    &__stack_top,
    {reset_handler, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH,
     systick_handler},
};

/* Floating point (and MVE) must be on before any compiled function runs: the compiler may use its registers anywhere.
 */
__attribute__((naked)) void reset_handler(void) {
  __asm__ volatile(
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
      "ldr r0, =0xE000ED88\n" /* CPACR: coprocessors 10 and 11 */
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
#endif
#if __ARM_ARCH >= 8
      "ldr r0, =__stack_limit\n" /* an overflow faults instead of growing into the interpreter's memory */
      "msr msplim, r0\n"
#endif
      "bl start\n"
      "b .\n"
      ".ltorg\n");
}

void start(void) {
  const uint32_t *source = &__data_source;
  for (uint32_t *word = &__data_start; word < &__data_end; ++word, ++source) {
    *word = *source;
  }
  for (uint32_t *word = &__bss_start; word < &__bss_end; ++word) {
    *word = 0;
  }
#if defined(__ARM_FEATURE_MVE)
  SCB_CCR |= CCR_LOW_OVERHEAD_LOOPS;
  __asm__ volatile("dsb\n isb");
#endif
  host_exit(run());
}

/* The stack may be what broke: the report runs on a fresh one, with the address of the exception frame. */
__attribute__((naked)) void crash_handler(void) {
  __asm__ volatile(
      "mrs r0, msp\n"
      "ldr r1, =__stack_top\n"
      "mov sp, r1\n"
      "bl crashed\n"
      ".ltorg\n");
}

void crashed(const uint32_t *frame) {
  uint32_t exception;
  __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
  const bool sound = frame >= &__stack_limit && frame + 8 <= &__stack_top;
#if __ARM_ARCH_PROFILE == 'M' && __ARM_ARCH >= 7
  run_crashed(exception, sound ? frame[6] : 0, SCB_CFSR, SCB_BFAR);
#else
  run_crashed(exception, sound ? frame[6] : 0, 0, 0);
#endif
}

/* ---- clock: SysTick counts down from 2^24 - 1 ---- */

static volatile uint32_t wraps;

void systick_handler(void) {
  ++wraps;
}

void board_clock_start(void) {
  SYST_CSR = 0;
  SYST_RVR = SYSTICK_RELOAD;
  SYST_CVR = 0;
  SYST_CSR = SYSTICK_ON;
  while (SYST_CVR == 0) {
  }
  wraps = 0;
}

uint64_t board_clock(void) {
  uint32_t before = 0;
  uint32_t value = 0;
  do {
    before = wraps;
    value = SYST_CVR;
  } while (before != wraps);
  return ((uint64_t)before << 24) + (SYSTICK_RELOAD - value);
}

/* ---- board and host ---- */

board_info board(void) {
  const board_info info = {
      .model = &__model_start,
      .model_bytes = (uint32_t)&__model_bytes,
      .memory = &__memory_start,
      .memory_bytes = (uint32_t)((uint8_t *)&__stack_limit - &__memory_start),
      .stack_limit = &__stack_limit,
  };
  return info;
}

intptr_t host_call(uintptr_t operation, const void *argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return (intptr_t)r0;
}
