/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Flash of STM32L475 and L4R5: two banks of small pages, programmed by double words with an error-correcting code, each
 * once after an erase. The slots are in the second bank, which is written while the code runs from the first. A double
 * word that power left half written may not be readable: the code's error arrives as NMI, and a read of it is taken as
 * torn. */
#include <string.h>

#include "port.h"
#include "stm32.h"

#define FLASH_ACR REGISTER(0x40022000u)
#define FLASH_KEYR REGISTER(0x40022008u)
#define FLASH_SR REGISTER(0x40022010u)
#define FLASH_CR REGISTER(0x40022014u)
#define FLASH_ECCR REGISTER(0x40022018u)

enum {
  CR_PG = 1 << 0,
  CR_PER = 1 << 1,
  CR_PNB_SHIFT = 3,
  CR_BKER = 1 << 11,
  CR_STRT = 1 << 16,
  SR_ERRORS = 0xC3FA, /* OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, MISERR, FASTERR, RDERR, OPTVERR */
  SR_BSY = 1 << 16
};
#define ECCR_ECCD 0x80000000u

#ifdef STM32L4R5
enum { PAGE = 4096, BANK_2 = 0x100000, SLOT = 0x80000 };
#else
enum { PAGE = 2048, BANK_2 = 0x80000, SLOT = 0x40000 };
#endif

void nmi_handler(void);

static bool finish(void) {
  while ((FLASH_SR & SR_BSY) != 0) { /* the hardware ends it */
  }
  bool good = (FLASH_SR & SR_ERRORS) == 0;
  FLASH_SR = SR_ERRORS;
  FLASH_CR = STM32_FLASH_LOCK;
  stm32_forget_data(&FLASH_ACR);
  return good;
}

static void unlock(uint32_t bits) {
  stm32_unlock_flash(&FLASH_KEYR);
  FLASH_SR = SR_ERRORS;
  FLASH_CR = bits;
}

static bool on_erase(void *context, uint32_t offset) {
  (void)context;
  unlock(CR_PER | CR_BKER | (offset - BANK_2) / PAGE << CR_PNB_SHIFT);
  FLASH_CR |= CR_STRT;
  return finish();
}

static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  (void)context;
  unlock(CR_PG);
  for (uint32_t i = 0; i < bytes; i += 8) {
    uint32_t words[2];
    memcpy(words, (const uint8_t *)data + i, sizeof words);
    REGISTER(STM32_FLASH + offset + i) = words[0];
    __asm__ volatile("isb" ::: "memory");
    REGISTER(STM32_FLASH + offset + i + 4) = words[1];
    __asm__ volatile("dsb" ::: "memory");
    while ((FLASH_SR & SR_BSY) != 0) {
    }
  }
  return finish();
}

/* The NMI of a double error: the read that caused it goes on with whatever came. on_read asks whether there was one; in
 * a file the checksum tells. */
static volatile bool unreadable;

void nmi_handler(void) {
  unreadable = true;
  FLASH_ECCR |= ECCR_ECCD;
}

static bool on_read(void *context, uint32_t offset, void *data, uint32_t bytes) {
  (void)context;
  unreadable = false;
  memcpy(data, (const uint8_t *)STM32_FLASH + offset, bytes);
  __asm__ volatile("dsb\n isb" ::: "memory");
  return !unreadable;
}

static const dqnn_store_config config = {
    .base = (const uint8_t *)STM32_FLASH,
    .slot_offset = {BANK_2, BANK_2 + SLOT},
    .slot_bytes = SLOT,
    .erase_bytes = PAGE,
    .program_bytes = 8,
    .erased = 0xFF,
    .erase = on_erase,
    .program = on_program,
    .read = on_read,
};

const dqnn_store_config *port_slots(void) {
  return &config;
}
