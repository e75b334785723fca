/* B-L475E-IOT01A: 80 MHz from the internal 16 MHz oscillator, USART 1 behind the debugger's USB port (PB6, PB7), slots
 * in the second bank of its flash, which is written while the code runs from the first. Runs in QEMU (b-l475e-iot01a,
 * from version 9 on). Not run on silicon. */
#include "port.h"
#include "stm32.h"

#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_APB2ENR REGISTER(0x40021060u)
#define FLASH_ACR REGISTER(0x40022000u)

enum {
  CR_HSION = 1 << 8,
  CR_HSIRDY = 1 << 10,
  CR_PLLON = 1 << 24,
  CR_PLLRDY = 1 << 25,
  PLL_HSI = 2,
  PLL_M_4 = 3 << 4,
  PLL_N_40 = 40 << 8,
  PLL_REN = 1 << 24, /* R = 2 */
  CFGR_SW_PLL = 3,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 3 << 2,
  ACR_4_WAITS = 4,
  ACR_PRFTEN = 1 << 8,
  ACR_ICEN = 1 << 9,
  ACR_DCEN = 1 << 10,
  AHB2_GPIOB = 1 << 1,
  APB2_USART1 = 1 << 14,
  MSI_HZ = 4000000,
  PLL_HZ = 80000000,
  USART1 = 0x40013800,
  USART1_INTERRUPT = 37,
  GPIOB = 0x48000400,
  AF_USART1 = 7
};

static uint32_t core_hz = PLL_HZ;

static bool start_clocks(void) {
  RCC_CR |= CR_HSION;
  if (!stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY)) {
    return false;
  }
  RCC_PLLCFGR = PLL_HSI | PLL_M_4 | PLL_N_40 | PLL_REN;
  RCC_CR |= CR_PLLON;
  if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = ACR_4_WAITS | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
  RCC_CFGR = CFGR_SW_PLL;
  return stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

void port_start(void) {
  if (!start_clocks()) {
    core_hz = MSI_HZ;
  }
  RCC_AHB2ENR |= AHB2_GPIOB;
  RCC_APB2ENR |= APB2_USART1;
  stm32_pin(GPIOB, 6, AF_USART1);
  stm32_pin(GPIOB, 7, AF_USART1);
  usart_start(USART1, USART1_INTERRUPT, core_hz / DQNN_BAUD);
  cortex_m_count();
}

uint32_t port_clock_hz(void) {
  return core_hz;
}

_Noreturn void port_reset(void) {
  usart_drain();
  cortex_m_reset();
}
