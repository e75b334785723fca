/* The USART of STM32F0, F3, F7, L0, L4 and later, also the LPUART: flags are cleared in a register of their own.
 * Received bytes go into a ring. */
#include "port.h"
#include "ring.h"
#include "stm32.h"

#define CR1 REGISTER(usart)
#define BRR REGISTER(usart + 0x0C)
#define ISR REGISTER(usart + 0x1C)
#define ICR REGISTER(usart + 0x20)
#define RDR REGISTER(usart + 0x24)
#define TDR REGISTER(usart + 0x28)

enum {
  CR1_UE = 1 << 0,
  CR1_RE = 1 << 2,
  CR1_TE = 1 << 3,
  CR1_RXNEIE = 1 << 5,
  ISR_ORE = 1 << 3,
  ISR_RXNE = 1 << 5,
  ISR_TC = 1 << 6,
  ISR_TXE = 1 << 7
};

static uint32_t usart;
static ring received;

void usart_start(uint32_t address, uint32_t interrupt, uint32_t divider) {
  usart = address;
  BRR = divider;
  CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
  cortex_m_enable(interrupt);
}

void port_interrupt(void) {
  if ((ISR & ISR_RXNE) != 0) {
    ring_put(&received, (uint8_t)RDR);
  }
  if ((ISR & ISR_ORE) != 0) {
    ICR = ISR_ORE;
  }
}

uint32_t port_read(uint8_t *data, uint32_t bytes) {
  return ring_take(&received, data, bytes);
}

void port_idle(void) {
  cortex_m_mask();
  if (ring_empty(&received)) {
    cortex_m_sleep();
  }
  cortex_m_unmask();
}

void port_write(const uint8_t *data, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; ++i) {
    while ((ISR & ISR_TXE) == 0) {
    }
    TDR = data[i];
  }
}

void usart_drain(void) {
  while ((ISR & ISR_TC) == 0) {
  }
}
