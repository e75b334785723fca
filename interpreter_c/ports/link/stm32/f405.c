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
#include "stm32.h"

#ifndef DQNN_HSE_MHZ
#define DQNN_HSE_MHZ 8
#endif
#ifndef DQNN_USART
#define DQNN_USART 1
#endif

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
  PLL_N = 336, /* of 1 MHz: HSE / M */
  PLL_P_2 = 0 << 16,
  PLL_HSE = 1 << 22,
  PLL_Q = 7 << 24,
  CFGR_SW_PLL = 2,
  CFGR_SWS = 3 << 2,
  CFGR_SWS_PLL = 2 << 2,
  CFGR_APB1_4 = 5 << 10,
  CFGR_APB2_2 = 4 << 13,
  ACR_5_WAITS = 5,
  ACR_PRFTEN = 1 << 8,
  ACR_ICEN = 1 << 9,
  ACR_DCEN = 1 << 10,
  HSI_HZ = 16000000,
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

static uint32_t core_hz = PLL_HZ;
static uint32_t usart_hz = APB2 ? PLL_HZ / 2 : PLL_HZ / 4;

/* False where the crystal does not start: all runs on the internal oscillator then. */
static bool start_clocks(void) {
  RCC_CR |= CR_HSEON;
  if (!stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
    return false;
  }
  RCC_PLLCFGR = DQNN_HSE_MHZ | PLL_N << 6 | PLL_P_2 | PLL_HSE | PLL_Q;
  RCC_CR |= CR_PLLON;
  if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  FLASH_ACR = ACR_5_WAITS | ACR_PRFTEN | ACR_ICEN | ACR_DCEN;
  RCC_CFGR = CFGR_APB1_4 | CFGR_APB2_2 | CFGR_SW_PLL;
  return stm32_wait(&RCC_CFGR, CFGR_SWS, CFGR_SWS_PLL);
}

void port_start(void) {
  if (!DQNN_EMULATED && !start_clocks()) {
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
  usart_start(USART, INTERRUPT, usart_hz / DQNN_BAUD);
  cortex_m_count();
}

uint32_t port_clock_hz(void) {
  return core_hz;
}

_Noreturn void port_reset(void) {
  usart_drain();
  cortex_m_reset();
}
