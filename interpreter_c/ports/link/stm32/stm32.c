/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What all boards with an STM32 have of port.h: bytes out of the USART, the core's clock, the reset. Bytes in come by
 * interrupt. STM32F1, F2 and F4 have an older USART: its status register is cleared by reading data. */
#include "stm32.h"

#include "port.h"

#ifdef STM32F405
#define STATUS REGISTER(usart)
#define DATA_IN REGISTER(usart + 0x04)
#define DATA_OUT DATA_IN
#define BRR REGISTER(usart + 0x08)
#define CR1 REGISTER(usart + 0x0C)
enum { CR1_UE = 1 << 13 };
#else
#define CR1 REGISTER(usart)
#define BRR REGISTER(usart + 0x0C)
#define STATUS REGISTER(usart + 0x1C)
#define STATUS_CLEAR REGISTER(usart + 0x20)
#define DATA_IN REGISTER(usart + 0x24)
#define DATA_OUT REGISTER(usart + 0x28)
enum { CR1_UE = 1 << 0 };
#endif

enum {
  CR1_RE = 1 << 2,
  CR1_TE = 1 << 3,
  CR1_RXNEIE = 1 << 5,
  OVERRUN = 1 << 3,
  RECEIVED = 1 << 5,
  SENT = 1 << 6,
  ROOM = 1 << 7
};

static uint32_t usart, core_hz;

void stm32_started(uint32_t hz, uint32_t address, uint32_t interrupt, uint32_t divider) {
  core_hz = hz;
  usart = address;
  BRR = divider;
  CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
  cortex_m_enable(interrupt);
  cortex_m_count();
}

#ifdef STM32F405
/* Reading the data register clears an overrun, too. */
void port_interrupt(void) {
  if ((STATUS & (RECEIVED | OVERRUN)) != 0) {
    cortex_m_received((uint8_t)DATA_IN);
  }
}
#else
void port_interrupt(void) {
  if ((STATUS & RECEIVED) != 0) {
    cortex_m_received((uint8_t)DATA_IN);
  }
  if ((STATUS & OVERRUN) != 0) {
    STATUS_CLEAR = OVERRUN;
  }
}
#endif

void port_write(const uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) {
    while ((STATUS & ROOM) == 0) {
    }
    DATA_OUT = data[i];
  }
}

uint32_t port_clock_hz(void) {
  return core_hz;
}

_Noreturn void port_reset(void) {
  while ((STATUS & SENT) == 0) {
  }
  cortex_m_reset();
}
