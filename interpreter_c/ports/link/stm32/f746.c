/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* STM32F746G-Discovery: 216 MHz from the 25 MHz crystal, over-drive, instruction and data cache, USART
 * 1 behind the debugger's USB port (PA9, PB7), slots in the two last sectors of its flash. Not run on silicon. */
#include "port.h"
#include "rcc_f4.h"

#define PWR_CR1 REGISTER(0x40007000u)
#define PWR_CSR1 REGISTER(0x40007004u)
#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)

enum {
  PLL_M = 25,
  PLL_N = 432,
  PLL_Q = 9 << 24,
  ACR_7_WAITS = 7,
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
  PLL_HZ = 216000000,
  USART1 = 0x40011000,
  USART1_INTERRUPT = 37,
  GPIOA = 0x40020000,
  GPIOB = 0x40020400,
  AF_USART1 = 7
};

static bool start_overdrive(void) {
  RCC_APB1ENR |= APB1_PWR;
  PWR_CR1 |= CR1_ODEN;
  if (!stm32_wait(&PWR_CSR1, CSR1_ODRDY, CSR1_ODRDY)) {
    return false;
  }
  PWR_CR1 |= CR1_ODSWEN;
  return stm32_wait(&PWR_CSR1, CSR1_ODSWRDY, CSR1_ODSWRDY);
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
  uint32_t core_hz = PLL_HZ, usart_hz = PLL_HZ / 2;
  if (!stm32_start_clocks(PLL_M | PLL_N << 6 | PLL_Q, ACR_7_WAITS | ACR_PRFTEN | ACR_ARTEN, start_overdrive)) {
    core_hz = usart_hz = HSI_HZ;
  }
  start_caches();
  RCC_AHB1ENR |= AHB1_GPIOA | AHB1_GPIOB;
  RCC_APB2ENR |= APB2_USART1;
  stm32_pin(GPIOA, 9, AF_USART1);
  stm32_pin(GPIOB, 7, AF_USART1);
  stm32_started(core_hz, USART1, USART1_INTERRUPT, usart_hz / DQNN_BAUD);
}
