/* The USART of STM32F1, F2 and F4: a status register and one for data. Received bytes go into a ring. */
#include "port.h"
#include "ring.h"
#include "stm32.h"

#define SR REGISTER(usart)
#define DR REGISTER(usart + 0x04)
#define BRR REGISTER(usart + 0x08)
#define CR1 REGISTER(usart + 0x0C)

enum {
  SR_ORE = 1 << 3,
  SR_RXNE = 1 << 5,
  SR_TC = 1 << 6,
  SR_TXE = 1 << 7,
  CR1_RE = 1 << 2,
  CR1_TE = 1 << 3,
  CR1_RXNEIE = 1 << 5,
  CR1_UE = 1 << 13
};

static uint32_t usart;
static ring received;

void usart_start(uint32_t address, uint32_t interrupt, uint32_t divider) {
  usart = address;
  BRR = divider;
  CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
  cortex_m_enable(interrupt);
}

/* Reading the data register clears an overrun, too. */
void port_interrupt(void) {
  if ((SR & (SR_RXNE | SR_ORE)) != 0) {
    ring_put(&received, (uint8_t)DR);
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
    while ((SR & SR_TXE) == 0) {
    }
    DR = data[i];
  }
}

void usart_drain(void) {
  while ((SR & SR_TC) == 0) {
  }
}
