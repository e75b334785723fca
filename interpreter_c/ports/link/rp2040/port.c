/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Raspberry Pi Pico: port.h over the pico-sdk. While the flash is erased or programmed nothing may run from it, so
 * interrupts are off and the other core must be (this firmware does not start it). Not run on silicon. */
#include "port.h"

#include <string.h>

#include "hardware/flash.h"
#include "hardware/sync.h"
#include "hardware/watchdog.h"
#include "pico/stdlib.h"

enum {
  MEMORY_BYTES = 160 * 1024,
  SLOT_BYTES = 256 * 1024,
  FACTORY_OFFSET = 0x100000,
  FACTORY_BYTES = 256 * 1024,
  UNIT = 32, /* a record of the journal; flash with error correction wants no less */
  MICROSECONDS = 1000000,
  DRAIN_MS = 10
};

void port_start(void) {
  stdio_init_all();
}

uint32_t port_read(uint8_t *data, uint32_t bytes) {
  uint32_t count = 0;
  while (count < bytes) {
    int byte = stdio_getchar_timeout_us(0);
    if (byte < 0) {
      break;
    }
    data[count++] = (uint8_t)byte;
  }
  return count;
}

void port_write(const uint8_t *data, uint32_t bytes) {
  (void)stdio_put_string((const char *)data, (int)bytes, false, false);
  stdio_flush();
}

void port_idle(void) {
}

/* The timer counts microseconds: the core has no cycle counter of 32 bits. */
uint32_t port_clock(void) {
  return time_us_32();
}

uint32_t port_clock_hz(void) {
  return MICROSECONDS;
}

_Noreturn void port_reset(void) {
  stdio_flush();
  watchdog_reboot(0, 0, DRAIN_MS);
  for (;;) {
  }
}

const char *port_core(void) {
  return "cortex-m0plus";
}

const char *port_board(void) {
  return "pico";
}

void *port_memory(uint32_t *bytes) {
  static _Alignas(16) uint8_t memory[MEMORY_BYTES];
  *bytes = sizeof memory;
  return memory;
}

const void *port_factory(uint32_t *bytes) {
  *bytes = FACTORY_BYTES;
  return (const void *)(XIP_BASE + FACTORY_OFFSET);
}

/* ---- flash ---- */

static bool on_erase(void *context, uint32_t offset) {
  (void)context;
  uint32_t interrupts = save_and_disable_interrupts();
  flash_range_erase(offset, FLASH_SECTOR_SIZE);
  restore_interrupts(interrupts);
  return true;
}

/* Whole pages go to the flash, all ones where nothing is to change. */
static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  (void)context;
  uint8_t page[FLASH_PAGE_SIZE];
  const uint8_t *source = data;
  while (bytes > 0) {
    uint32_t at = offset % FLASH_PAGE_SIZE, part = FLASH_PAGE_SIZE - at < bytes ? FLASH_PAGE_SIZE - at : bytes;
    memset(page, 0xFF, sizeof page);
    memcpy(page + at, source, part);
    uint32_t interrupts = save_and_disable_interrupts();
    flash_range_program(offset - at, page, sizeof page);
    restore_interrupts(interrupts);
    offset += part;
    source += part;
    bytes -= part;
  }
  return true;
}

const dqnn_store_config *port_slots(void) {
  static const dqnn_store_config config = {
      .base = (const uint8_t *)XIP_BASE,
      .slot_offset = {PICO_FLASH_SIZE_BYTES - 2 * SLOT_BYTES, PICO_FLASH_SIZE_BYTES - SLOT_BYTES},
      .slot_bytes = SLOT_BYTES,
      .erase_bytes = FLASH_SECTOR_SIZE,
      .program_bytes = UNIT,
      .erased = 0xFF,
      .erase = on_erase,
      .program = on_program,
  };
  return &config;
}
