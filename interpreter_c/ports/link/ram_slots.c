/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Slots in RAM that behave like flash, for boards whose flash cannot be written: emulated ones. They outlive a reset,
 * not the power. */
#include <stdbool.h>
#include <string.h>

#include "port.h"

enum { ERASED = 0xFF, UNIT = 8, ERASE = 4096 };
#define MARK 0x44514E4Eu

__attribute__((section(".noinit"))) static _Alignas(16) uint8_t slots[2 * DQNN_RAM_SLOT_BYTES];
__attribute__((section(".noinit"))) static uint32_t mark; /* MARK once the slots have been erased */

static bool on_erase(void *context, uint32_t offset) {
  (void)context;
  memset(slots + offset, ERASED, ERASE);
  return true;
}

/* Bits only ever fall. */
static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  (void)context;
  for (uint32_t i = 0; i < bytes; ++i) {
    slots[offset + i] &= ((const uint8_t *)data)[i];
  }
  return true;
}

static const dqnn_store_config config = {
    .base = slots,
    .slot_offset = {0, DQNN_RAM_SLOT_BYTES},
    .slot_bytes = DQNN_RAM_SLOT_BYTES,
    .erase_bytes = ERASE,
    .program_bytes = UNIT,
    .erased = ERASED,
    .erase = on_erase,
    .program = on_program,
};

const dqnn_store_config *port_slots(void) {
  if (mark != MARK) {
    memset(slots, ERASED, sizeof slots);
    mark = MARK;
  }
  return &config;
}
