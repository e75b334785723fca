/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Nucleo-L4R5ZI, the board of MLPerf Tiny's reference results: 120 MHz from the internal 16 MHz oscillator, LPUART 1
 * behind the debugger's USB port (PG7, PG8), slots in the second bank of its flash. Not run on silicon. */
#include "port.h"
#include "rcc_l4.h"

#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_CR5 REGISTER(0x40007080u)

enum {
  PLL_N = 60,
  CFGR_AHB = 15 << 4,
  CFGR_AHB_2 = 8 << 4,
  WAITS = 5,
  APB1_PWR = 1 << 28,
  APB1_LPUART1 = 1 << 0, /* in its second register */
  AHB2_GPIOG = 1 << 6,
  CR2_IOSV = 1 << 9,   /* the supply of port G is there */
  CR5_R1MODE = 1 << 8, /* 0: boost, for more than 80 MHz */
  PLL_HZ = 120000000,
  LPUART1 = 0x40008000,
  LPUART1_INTERRUPT = 70,
  GPIOG = 0x48001800,
  AF_LPUART1 = 8,
  LPUART_FACTOR = 256
};

/* Over 80 MHz the bus clock is stepped up: a microsecond at half of it. */
static bool start_clocks(void) {
  PWR_CR5 &= ~(uint32_t)CR5_R1MODE;
  if (!stm32_start_clocks(PLL_N, WAITS, CFGR_AHB_2)) {
    return false;
  }
  for (volatile uint32_t i = 0; i < 60; ++i) {
  }
  RCC_CFGR &= ~(uint32_t)CFGR_AHB;
  return true;
}

void port_start(void) {
  uint32_t core_hz = PLL_HZ;
  RCC_APB1ENR1 |= APB1_PWR;
  (void)RCC_APB1ENR1;
  if (!start_clocks()) {
    core_hz = MSI_HZ;
  }
  PWR_CR2 |= CR2_IOSV;
  RCC_AHB2ENR |= AHB2_GPIOG;
  RCC_APB1ENR2 |= APB1_LPUART1;
  stm32_pin(GPIOG, 7, AF_LPUART1);
  stm32_pin(GPIOG, 8, AF_LPUART1);
  uint32_t divider = (uint32_t)((uint64_t)core_hz * LPUART_FACTOR / DQNN_BAUD);
  stm32_started(core_hz, LPUART1, LPUART1_INTERRUPT, divider);
}
