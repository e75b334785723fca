/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The clocks of STM32F4 and F7: 1 MHz from a crystal times N, over 2. */
#ifndef DQNN_PORT_STM32_RCC_F4_H
#define DQNN_PORT_STM32_RCC_F4_H

#include "stm32.h"

#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define FLASH_ACR REGISTER(0x40023C00u)

enum {
  CR_HSEON = 1 << 16,
  CR_HSERDY = 1 << 17,
  CR_PLLON = 1 << 24,
  CR_PLLRDY = 1 << 25,
  PLL_P_2 = 0 << 16,
  PLL_HSE = 1 << 22,
  CFGR_SW_PLL = 2,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 2 << 2,
  CFGR_APB1_4 = 5 << 10,
  CFGR_APB2_2 = 4 << 13,
  ACR_PRFTEN = 1 << 8,
  HSI_HZ = 16000000
};

/* `pll`: M, N and Q of RCC_PLLCFGR; `flash`: wait states and caches; `overdrive`: what the core needs for so fast a
 * clock, NULL: nothing. APB 1 runs at a quarter of it, APB 2 at half. False where the crystal does not start: all runs
 * on the internal oscillator then. */
static inline bool stm32_start_clocks(uint32_t pll, uint32_t flash, bool (*overdrive)(void)) {
  RCC_CR |= CR_HSEON;
  if (!stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
    return false;
  }
  RCC_PLLCFGR = pll | PLL_P_2 | PLL_HSE;
  RCC_CR |= CR_PLLON;
  if ((overdrive != NULL && !overdrive()) || !stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = flash;
  RCC_CFGR = CFGR_APB1_4 | CFGR_APB2_2 | CFGR_SW_PLL;
  return stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

#endif
