/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* B-L475E-IOT01A: 80 MHz from the internal 16 MHz oscillator, USART 1 behind the debugger's USB port (PB6, PB7), slots
 * in the second bank of its flash, which is written while the code runs from the first. Runs in QEMU (b-l475e-iot01a,
 * from version 9 on). Not run on silicon. */
#include "port.h"
#include "rcc_l4.h"

#define RCC_APB2ENR REGISTER(0x40021060u)

enum {
  PLL_N = 40,
  WAITS = 4,
  AHB2_GPIOB = 1 << 1,
  APB2_USART1 = 1 << 14,
  PLL_HZ = 80000000,
  USART1 = 0x40013800,
  USART1_INTERRUPT = 37,
  GPIOB = 0x48000400,
  AF_USART1 = 7
};

void port_start(void) {
  uint32_t core_hz = PLL_HZ;
  if (!stm32_start_clocks(PLL_N, WAITS, 0)) {
    core_hz = MSI_HZ;
  }
  RCC_AHB2ENR |= AHB2_GPIOB;
  RCC_APB2ENR |= APB2_USART1;
  stm32_pin(GPIOB, 6, AF_USART1);
  stm32_pin(GPIOB, 7, AF_USART1);
  stm32_started(core_hz, USART1, USART1_INTERRUPT, core_hz / DQNN_BAUD);
}
