/* STM32F746G-Discovery: 216 MHz from the 25 MHz crystal, over-drive, instruction and data cache, USART
 * 1 behind the debugger's USB port (PA9, PB7), slots in the two last sectors of its flash. Not run on silicon. */
#include "port.h"
#include "stm32.h"

#define RCC_CR REGISTER(0x40023800u)
#define RCC_PLLCFGR REGISTER(0x40023804u)
#define RCC_CFGR REGISTER(0x40023808u)
#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define FLASH_ACR REGISTER(0x40023C00u)
#define PWR_CR1 REGISTER(0x40007000u)
#define PWR_CSR1 REGISTER(0x40007004u)
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)

enum {
  CR_HSEON = 1 << 16,
  CR_HSERDY = 1 << 17,
  CR_PLLON = 1 << 24,
  CR_PLLRDY = 1 << 25,
  PLL_M = 25,
  PLL_N = 432,
  PLL_P_2 = 0 << 16,
  PLL_HSE = 1 << 22,
  PLL_Q = 9 << 24,
  CFGR_SW_PLL = 2,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 2 << 2,
  CFGR_APB1_4 = 5 << 10,
  CFGR_APB2_2 = 4 << 13,
  ACR_7_WAITS = 7,
  ACR_PRFTEN = 1 << 8,
  ACR_ARTEN = 1 << 9,
  APB1_PWR = 1 << 28,
  CR1_ODEN = 1 << 16,
  CR1_ODSWEN = 1 << 17,
  CSR1_ODRDY = 1 << 16,
  CSR1_ODSWRDY = 1 << 17,
  CCR_DC = 1 << 16,
  CCR_IC = 1 << 17,
  APB2_USART1 = 1 << 4,
  AHB1_GPIOA = 1 << 0,
  AHB1_GPIOB = 1 << 1,
  HSI_HZ = 16000000,
  PLL_HZ = 216000000,
  USART1 = 0x40011000,
  USART1_INTERRUPT = 37,
  GPIOA = 0x40020000,
  GPIOB = 0x40020400,
  AF_USART1 = 7
};

static uint32_t core_hz = PLL_HZ, usart_hz = PLL_HZ / 2;

static bool start_overdrive(void) {
  RCC_APB1ENR |= APB1_PWR;
  PWR_CR1 |= CR1_ODEN;
  if (!stm32_wait(&PWR_CSR1, CSR1_ODRDY, CSR1_ODRDY)) {
    return false;
  }
  PWR_CR1 |= CR1_ODSWEN;
  return stm32_wait(&PWR_CSR1, CSR1_ODSWRDY, CSR1_ODSWRDY);
}

/* False where the crystal does not start: all runs on the internal oscillator then. */
static bool start_clocks(void) {
  RCC_CR |= CR_HSEON;
  if (!stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
    return false;
  }
  RCC_PLLCFGR = PLL_M | PLL_N << 6 | PLL_P_2 | PLL_HSE | PLL_Q;
  RCC_CR |= CR_PLLON;
  if (!start_overdrive() || !stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = ACR_7_WAITS | ACR_PRFTEN | ACR_ARTEN;
  RCC_CFGR = CFGR_APB1_4 | CFGR_APB2_2 | CFGR_SW_PLL;
  return stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

/* Invalidates both before they are used: they hold anything after power-on. The data cache line by line: sets at bit 5,
 * ways at bit 30. */
static void start_caches(void) {
  SCB_CSSELR = 0;
  __asm__ volatile("dsb" ::: "memory");
  uint32_t sets = (SCB_CCSIDR >> 13 & 0x7FFF) + 1, ways = (SCB_CCSIDR >> 3 & 0x3FF) + 1;
  for (uint32_t set = 0; set < sets; ++set) {
    for (uint32_t way = 0; way < ways; ++way) {
      SCB_DCISW = set << 5 | way << 30;
    }
  }
  SCB_ICIALLU = 0;
  __asm__ volatile("dsb\n isb" ::: "memory");
  SCB_CCR |= CCR_IC | CCR_DC;
  __asm__ volatile("dsb\n isb" ::: "memory");
}

void port_start(void) {
  if (!start_clocks()) {
    core_hz = usart_hz = HSI_HZ;
  }
  start_caches();
  RCC_AHB1ENR |= AHB1_GPIOA | AHB1_GPIOB;
  RCC_APB2ENR |= APB2_USART1;
  stm32_pin(GPIOA, 9, AF_USART1);
  stm32_pin(GPIOB, 7, AF_USART1);
  usart_start(USART1, USART1_INTERRUPT, usart_hz / DQNN_BAUD);
  cortex_m_count();
}

uint32_t port_clock_hz(void) {
  return core_hz;
}

_Noreturn void port_reset(void) {
  usart_drain();
  cortex_m_reset();
}
