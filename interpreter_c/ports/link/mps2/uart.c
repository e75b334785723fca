/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* MPS2 boards (AN385, AN386, AN500): the CMSDK UART 0 of the FPGA image. */
#include "cortex_m.h"
#include "port.h"

#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_INTCLEAR REGISTER(0x4000400Cu)
#define UART_BAUDDIV REGISTER(0x40004010u)

enum {
  TX_FULL = 1 << 0,
  RX_FULL = 1 << 1,
  TX_ON = 1 << 0,
  RX_ON = 1 << 1,
  RX_INTERRUPT_ON = 1 << 3,
  RX_INTERRUPT = 1 << 1,
  UART_0_RX = 0,
  CLOCK_HZ = 25000000
};

void port_start(void) {
  UART_BAUDDIV = CLOCK_HZ / DQNN_BAUD;
  UART_CTRL = TX_ON | RX_ON | RX_INTERRUPT_ON;
  cortex_m_enable(UART_0_RX);
  cortex_m_count();
}

/* Cleared before the data is taken: a byte that comes in between raises it again. */
void port_interrupt(void) {
  UART_INTCLEAR = RX_INTERRUPT;
  while ((UART_STATE & RX_FULL) != 0) {
    cortex_m_received((uint8_t)UART_DATA);
  }
}

void port_write(const uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) {
    while ((UART_STATE & TX_FULL) != 0) {
    }
    UART_DATA = data[i];
  }
}

_Noreturn void port_reset(void) {
  while ((UART_STATE & TX_FULL) != 0) {
  }
  cortex_m_reset();
}

uint32_t port_clock_hz(void) {
  return CLOCK_HZ;
}
