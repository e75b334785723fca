/* Nucleo-L4R5ZI, the board of MLPerf Tiny's reference results: 120 MHz from the internal 16 MHz oscillator, LPUART 1
 * behind the debugger's USB port (PG7, PG8), slots in the second bank of its flash. Not run on silicon. */
#include "port.h"
#include "stm32.h"

#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100Cu)
#define RCC_AHB2ENR REGISTER(0x4002104Cu)
#define RCC_APB1ENR1 REGISTER(0x40021058u)
#define RCC_APB1ENR2 REGISTER(0x4002105Cu)
#define FLASH_ACR REGISTER(0x40022000u)
#define PWR_CR2 REGISTER(0x40007004u)
#define PWR_CR5 REGISTER(0x40007080u)

enum {
  CR_HSION = 1 << 8,
  CR_HSIRDY = 1 << 10,
  CR_PLLON = 1 << 24,
  CR_PLLRDY = 1 << 25,
  PLL_HSI = 2,
  PLL_M_4 = 3 << 4,
  PLL_N_60 = 60 << 8,
  PLL_REN = 1 << 24, /* R = 2 */
  CFGR_SW_PLL = 3,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 3 << 2,
  CFGR_AHB = 15 << 4,
  CFGR_AHB_2 = 8 << 4,
  ACR_5_WAITS = 5,
  ACR_PRFTEN = 1 << 8,
  ACR_ICEN = 1 << 9,
  ACR_DCEN = 1 << 10,
  APB1_PWR = 1 << 28,
  APB1_LPUART1 = 1 << 0, /* in its second register */
  AHB2_GPIOG = 1 << 6,
  CR2_IOSV = 1 << 9,   /* the supply of port G is there */
  CR5_R1MODE = 1 << 8, /* 0: boost, for more than 80 MHz */
  MSI_HZ = 4000000,
  PLL_HZ = 120000000,
  LPUART1 = 0x40008000,
  LPUART1_INTERRUPT = 70,
  GPIOG = 0x48001800,
  AF_LPUART1 = 8,
  LPUART_FACTOR = 256
};

static uint32_t core_hz = PLL_HZ;

/* Over 80 MHz the bus clock is stepped up: a microsecond at half of it. */
static bool start_clocks(void) {
  PWR_CR5 &= ~(uint32_t)CR5_R1MODE;
  RCC_CR |= CR_HSION;
  if (!stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY)) {
    return false;
  }
  RCC_PLLCFGR = PLL_HSI | PLL_M_4 | PLL_N_60 | PLL_REN;
  RCC_CR |= CR_PLLON;
  if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = ACR_5_WAITS | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
  RCC_CFGR = CFGR_SW_PLL | CFGR_AHB_2;
  if (!stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL)) {
    return false;
  }
  for (volatile uint32_t i = 0; i < 60; ++i) {
  }
  RCC_CFGR &= ~(uint32_t)CFGR_AHB;
  return true;
}

void port_start(void) {
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
  usart_start(LPUART1, LPUART1_INTERRUPT, (uint32_t)((uint64_t)core_hz * LPUART_FACTOR / DQNN_BAUD));
  cortex_m_count();
}

uint32_t port_clock_hz(void) {
  return core_hz;
}

_Noreturn void port_reset(void) {
  usart_drain();
  cortex_m_reset();
}
