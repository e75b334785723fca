/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The clocks of STM32L4: 4 MHz of the internal oscillator times N, over 2. */
#ifndef DQNN_PORT_STM32_RCC_L4_H
#define DQNN_PORT_STM32_RCC_L4_H

#include "stm32.h"

#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define FLASH_ACR REGISTER(0x40022000u)

enum {
  CR_HSION = 1 << 8,
  CR_HSIRDY = 1 << 10,
  CR_PLLON = 1 << 24,
  CR_PLLRDY = 1 << 25,
  PLL_HSI = 2,
  PLL_M_4 = 3 << 4,
  PLL_N_SHIFT = 8,
  PLL_REN = 1 << 24, /* R = 2 */
  CFGR_SW_PLL = 3,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 3 << 2,
  ACR_PRFTEN = 1 << 8,
  ACR_ICEN = 1 << 9,
  ACR_DCEN = 1 << 10,
  MSI_HZ = 4000000
};

/* `n`: of the PLL; `waits`: states of the flash; `divide`: bits of RCC_CFGR for the buses. */
static inline bool stm32_start_clocks(uint32_t n, uint32_t waits, uint32_t divide) {
  RCC_CR |= CR_HSION;
  if (!stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY)) {
    return false;
  }
  RCC_PLLCFGR = PLL_HSI | PLL_M_4 | n << PLL_N_SHIFT | PLL_REN;
  RCC_CR |= CR_PLLON;
  if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = waits | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
  RCC_CFGR = CFGR_SW_PLL | divide;
  return stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

#endif
