/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Cortex-M without a vendor's library: vector table, reset, faults, received bytes, cycles. */
#include "cortex_m.h"

#include <stdbool.h>

#include "port.h"
#include "ring.h"

#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define NVIC_ISER(i) REGISTER(0xE000E100u + 4u * (i))
#define SCB_VTOR REGISTER(0xE000ED08u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define SCB_DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u)

#ifndef DQNN_SYSTICK_TICKS
#define DQNN_SYSTICK_TICKS 0x1000000u /* until it wraps */
#endif

enum {
  SYSTICK_ON = 7, /* core clock, interrupt, enable */
  DEMCR_TRCENA = 1 << 24,
  DWT_CYCCNTENA = 1,
  INTERRUPTS = 112
};
#define AIRCR_SYSRESETREQ 0x05FA0004u
#define DWT_UNLOCK 0xC5ACCE55u

/* Of the linker script: only their addresses mean something. */
extern uint32_t __stack_top, __data_source, __data_start, __data_end, __bss_start, __bss_end;
extern uint8_t __memory_start, __memory_end, __factory_start, __factory_bytes;

void reset_handler(void);
void fault_handler(void);
void nmi_handler(void);
void systick_handler(void);
void start(void);
int main(void);

typedef void (*handler)(void);

typedef struct {
  uint32_t *stack;
  handler exceptions[15], interrupts[INTERRUPTS];
} vector_table;

#define FAULT fault_handler
#define EIGHT                                                                                                     \
  port_interrupt, port_interrupt, port_interrupt, port_interrupt, port_interrupt, port_interrupt, port_interrupt, \
      port_interrupt

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    &__stack_top,
    {reset_handler, nmi_handler, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT, FAULT,
     systick_handler},
    {EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT},
};

/* Floating point must be on before any compiled function runs: the compiler may use its registers anywhere. */
__attribute__((naked)) void reset_handler(void) {
  __asm__ volatile(
#if defined(__ARM_FP)
      "ldr r0, =0xE000ED88\n" /* CPACR: coprocessors 10 and 11 */
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
      "dsb\n"
      "isb\n"
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
  SCB_VTOR = (uint32_t)&vectors;
  (void)main();
}

/* A model on trial that makes the firmware fault is gone after the reset. */
void fault_handler(void) {
  cortex_m_reset();
}

/* A port may have its own. */
__attribute__((weak)) void nmi_handler(void) {
  cortex_m_reset();
}

_Noreturn void cortex_m_reset(void) {
  __asm__ volatile("dsb" ::: "memory");
  SCB_AIRCR = AIRCR_SYSRESETREQ;
  for (;;) {
  }
}

void cortex_m_enable(uint32_t n) {
  NVIC_ISER(n / 32) = 1u << n % 32;
}

/* ---- received bytes ---- */

static ring received;

void cortex_m_received(uint8_t byte) {
  ring_put(&received, byte);
}

uint32_t port_read(uint8_t *data, uint32_t bytes) {
  return ring_take(&received, data, bytes);
}

/* Masked, an interrupt only wakes the core: none is missed between looking and sleeping. */
void port_idle(void) {
  __asm__ volatile("cpsid i" ::: "memory");
  if (ring_empty(&received)) {
    __asm__ volatile("dsb\n wfi" ::: "memory");
  }
  __asm__ volatile("cpsie i" ::: "memory");
}

/* ---- cycles ---- */

static bool counts_in_dwt;
static volatile uint32_t wraps;

void systick_handler(void) {
  ++wraps;
}

/* DWT is optional on a Cortex-M, and emulators lack it: does it count? */
void cortex_m_count(void) {
  SCB_DEMCR |= DEMCR_TRCENA;
  DWT_LAR = DWT_UNLOCK; /* Cortex-M7 */
  DWT_CYCCNT = 0;
  DWT_CTRL |= DWT_CYCCNTENA;
  uint32_t before = DWT_CYCCNT;
  for (volatile uint32_t i = 0; i < 8; ++i) {
  }
  counts_in_dwt = DWT_CYCCNT != before;
  if (!counts_in_dwt) {
    SYST_CSR = 0;
    SYST_RVR = DQNN_SYSTICK_TICKS - 1;
    SYST_CVR = 0;
    SYST_CSR = SYSTICK_ON;
  }
}

uint32_t port_clock(void) {
  if (counts_in_dwt) {
    return DWT_CYCCNT;
  }
  uint32_t before = 0;
  uint32_t value = 0;
  do {
    before = wraps;
    value = SYST_CVR;
  } while (before != wraps);
  return before * DQNN_SYSTICK_TICKS + (DQNN_SYSTICK_TICKS - 1 - value);
}

/* ---- what the build and the linker script say ---- */

const char *port_core(void) {
  return DQNN_CORE;
}

const char *port_board(void) {
  return DQNN_BOARD;
}

void *port_memory(uint32_t *bytes) {
  *bytes = (uint32_t)(&__memory_end - &__memory_start);
  return &__memory_start;
}

const void *port_factory(uint32_t *bytes) {
  *bytes = (uint32_t)&__factory_bytes;
  return &__factory_start;
}
