/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Flash of STM32F405 and F746: few large sectors, programmed word by word. While it is erased or programmed the core
 * waits for its code, and what arrives meanwhile may be lost: the other side asks again. */
#include <string.h>

#include "port.h"
#include "stm32.h"

#define FLASH_ACR REGISTER(0x40023C00u)
#define FLASH_KEYR REGISTER(0x40023C04u)
#define FLASH_SR REGISTER(0x40023C0Cu)
#define FLASH_CR REGISTER(0x40023C10u)

enum {
  CR_PG = 1 << 0,
  CR_SER = 1 << 1,
  CR_SNB_SHIFT = 3,
  CR_X32 = 2 << 8, /* needs 2.7 V */
  CR_STRT = 1 << 16,
  SR_ERRORS = 0xF2, /* OPERR, WRPERR, PGAERR, PGPERR, PGSERR or ERSERR */
  SR_BSY = 1 << 16
};

/* Behind the four small sectors and the middle one, which together are as large, sectors of one size: number 5 is the
 * second of that size. */
#ifdef STM32F746
enum { SECTOR = 0x40000, SLOT_0 = 0x80000, SLOT_1 = 0xC0000 };
#else
enum { SECTOR = 0x20000, SLOT_0 = 0xC0000, SLOT_1 = 0xE0000 };
#endif
enum { SECTOR_BEFORE = 4 };

static bool finish(void) {
  while ((FLASH_SR & SR_BSY) != 0) { /* the hardware ends it */
  }
  bool good = (FLASH_SR & SR_ERRORS) == 0;
  FLASH_SR = SR_ERRORS;
  FLASH_CR = STM32_FLASH_LOCK;
  return good;
}

static void unlock(uint32_t bits) {
  stm32_unlock_flash(&FLASH_KEYR);
  FLASH_SR = SR_ERRORS;
  FLASH_CR = bits;
}

/* What caches hold of it is no longer true. */
static void forget(uint32_t offset, uint32_t bytes) {
#ifdef STM32F746
  const uint32_t line = 32;
  __asm__ volatile("dsb" ::: "memory");
  for (uint32_t at = STM32_FLASH + offset; at < STM32_FLASH + offset + bytes; at += line) {
    REGISTER(0xE000EF5Cu) = at; /* DCIMVAC */
  }
  __asm__ volatile("dsb\n isb" ::: "memory");
#else
  (void)offset, (void)bytes;
  stm32_forget_data(&FLASH_ACR);
#endif
}

static bool on_erase(void *context, uint32_t offset) {
  (void)context;
  uint32_t sector = SECTOR_BEFORE + offset / SECTOR;
  unlock(CR_SER | CR_X32 | sector << CR_SNB_SHIFT);
  FLASH_CR |= CR_STRT;
  bool good = finish();
  forget(offset, SECTOR);
  return good;
}

static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  (void)context;
  unlock(CR_PG | CR_X32);
  for (uint32_t i = 0; i < bytes; i += 4) {
    uint32_t word;
    memcpy(&word, (const uint8_t *)data + i, sizeof word);
    REGISTER(STM32_FLASH + offset + i) = word;
    __asm__ volatile("dsb" ::: "memory");
    while ((FLASH_SR & SR_BSY) != 0) {
    }
  }
  bool good = finish();
  forget(offset, bytes);
  return good;
}

static const dqnn_store_config config = {
    .base = (const uint8_t *)STM32_FLASH,
    .slot_offset = {SLOT_0, SLOT_1},
    .slot_bytes = SECTOR,
    .erase_bytes = SECTOR,
    .program_bytes = 4,
    .erased = 0xFF,
    .erase = on_erase,
    .program = on_program,
};

const dqnn_store_config *port_slots(void) {
  return &config;
}
