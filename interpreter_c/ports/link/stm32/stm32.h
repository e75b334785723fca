/* Parts of STM32 chips that several boards share. Registers by address, bits by the reference manuals' names: RM0090
 * (F405), RM0385 (F746), RM0351 (L475), RM0432 (L4R5). */
#ifndef DQNN_PORT_STM32_H
#define DQNN_PORT_STM32_H

#include <stdbool.h>

#include "cortex_m.h"

/* ---- waiting ---- */

enum { STM32_TRIES = 1 << 20 }; /* of a loop: much longer than any oscillator or regulator takes */

/* Until these bits are as wanted; false if they never are. */
static inline bool stm32_wait(volatile uint32_t *word, uint32_t mask, uint32_t wanted) {
  for (uint32_t i = 0; i < STM32_TRIES; ++i) {
    if ((*word & mask) == wanted) {
      return true;
    }
  }
  return false;
}

static inline void stm32_change(volatile uint32_t *word, uint32_t mask, uint32_t value) {
  *word = (*word & ~mask) | value;
}

/* ---- pins: GPIO port of that address, whose clock is on ---- */

/* An alternate function, fast, with a pull-up. */
static inline void stm32_pin(uint32_t gpio, uint32_t pin, uint32_t function) {
  volatile uint32_t *moder = &REGISTER(gpio), *ospeedr = &REGISTER(gpio + 0x08), *pupdr = &REGISTER(gpio + 0x0C);
  volatile uint32_t *afr = &REGISTER(gpio + 0x20 + 4 * (pin / 8));
  stm32_change(afr, 15u << 4 * (pin % 8), function << 4 * (pin % 8));
  stm32_change(ospeedr, 3u << 2 * pin, 2u << 2 * pin);
  stm32_change(pupdr, 3u << 2 * pin, 1u << 2 * pin);
  stm32_change(moder, 3u << 2 * pin, 2u << 2 * pin);
}

/* ---- usart_sr.c or usart_isr.c: 8 data bits, no parity, one stop bit ---- */

/* The USART of that address, whose clock is on; `divider` goes into its BRR. */
void usart_start(uint32_t address, uint32_t interrupt, uint32_t divider);

/* Until the last bit has left. */
void usart_drain(void);

/* ---- flash_f4.c, flash_l4.c ---- */

/* Offsets count from the start of flash. */
#define STM32_FLASH 0x08000000u

#endif
