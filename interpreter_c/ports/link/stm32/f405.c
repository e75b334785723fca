/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* STM32F405: 168 MHz from a crystal (or 16 MHz from the internal oscillator, if there is none), a USART, slots in the
 * two last sectors of its flash. The board's crystal and USART are options:
 *
 *   Olimex STM32-H405      -DDQNN_HSE_MHZ=8  -DDQNN_USART=1   PA9, PA10
 *   Adafruit Feather F405  -DDQNN_HSE_MHZ=12 -DDQNN_USART=3   PB10, PB11 (TX, RX)
 *   Netduino Plus 2        -DDQNN_HSE_MHZ=25 -DDQNN_USART=6   PC6, PC7 (D1, D0)
 *
 * Runs in QEMU (netduinoplus2, olimex-stm32-h405), which has the USART, not the clocks and not the flash controller.
 * Not run on silicon. */
#include "port.h"
#include "rcc_f4.h"

#ifndef DQNN_HSE_MHZ
#define DQNN_HSE_MHZ 8
#endif
#ifndef DQNN_USART
#define DQNN_USART 1
#endif

enum {
  PLL_N = 336, /* of 1 MHz: HSE / M */
  PLL_Q = 7 << 24,
  ACR_5_WAITS = 5,
  ACR_ICEN = 1 << 9,
  ACR_DCEN = 1 << 10,
  PLL_HZ = 168000000
};

#if DQNN_USART == 1
enum {
  USART = 0x40011000,
  APB2 = 1,
  ENABLE = 1 << 4,
  INTERRUPT = 37,
  GPIO = 0x40020000,
  GPIO_ON = 1 << 0,
  TX = 9,
  RX = 10,
  AF = 7
};
#elif DQNN_USART == 3
enum {
  USART = 0x40004800,
  APB2 = 0,
  ENABLE = 1 << 18,
  INTERRUPT = 39,
  GPIO = 0x40020400,
  GPIO_ON = 1 << 1,
  TX = 10,
  RX = 11,
  AF = 7
};
#elif DQNN_USART == 6
enum {
  USART = 0x40011400,
  APB2 = 1,
  ENABLE = 1 << 5,
  INTERRUPT = 71,
  GPIO = 0x40020800,
  GPIO_ON = 1 << 2,
  TX = 6,
  RX = 7,
  AF = 8
};
#else
#error "DQNN_USART: 1, 3 or 6"
#endif

void port_start(void) {
  uint32_t core_hz = PLL_HZ, usart_hz = APB2 ? PLL_HZ / 2 : PLL_HZ / 4;
  uint32_t pll = DQNN_HSE_MHZ | PLL_N << 6 | PLL_Q, flash = ACR_5_WAITS | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
  if (!DQNN_EMULATED && !stm32_start_clocks(pll, flash, NULL)) {
    core_hz = usart_hz = HSI_HZ;
  }
  RCC_AHB1ENR |= GPIO_ON;
  if (APB2) {
    RCC_APB2ENR |= ENABLE;
  } else {
    RCC_APB1ENR |= ENABLE;
  }
  stm32_pin(GPIO, TX, AF);
  stm32_pin(GPIO, RX, AF);
  stm32_started(core_hz, USART, INTERRUPT, usart_hz / DQNN_BAUD);
}
