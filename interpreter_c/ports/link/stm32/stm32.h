/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
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

/* ---- stm32.c ---- */

/* The end of port_start: the core runs at `hz`, and the USART of that address, whose clock is on, has 8 data bits, no
 * parity, one stop bit; `divider` goes into its BRR. Counts cycles from now on. */
void stm32_started(uint32_t hz, uint32_t address, uint32_t interrupt, uint32_t divider);

/* ---- flash_f4.c, flash_l4.c ---- */

#define STM32_FLASH_LOCK 0x80000000u /* of FLASH_CR */

/* Opens FLASH_CR by its key register. */
static inline void stm32_unlock_flash(volatile uint32_t *key) {
  *key = 0x45670123u;
  *key = 0xCDEF89ABu;
}

/* What the flash interface's data cache (F4, L4) holds is no longer true. */
static inline void stm32_forget_data(volatile uint32_t *acr) {
  const uint32_t enabled = 1u << 10, reset = 1u << 12, before = *acr;
  *acr = before & ~enabled;
  *acr = (before & ~enabled) | reset;
  *acr = before & ~enabled;
  *acr = before;
}

/* Offsets count from the start of flash. */
#define STM32_FLASH 0x08000000u

#endif
