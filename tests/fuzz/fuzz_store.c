/* libFuzzer target: flash with any content. The input is the image of both slots; of every journal cell whose first
 * byte is not erased the checksum is made right, so that hostile records are believed. What runs must be a file that
 * passes every check, and an upload must come in. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOT = 2048 };
static const geometry small = {"fuzzed", 1024, 8, SLOT, 0, 0xFF};

static void seal_cells(uint8_t *slot) {
  uint8_t *journal = slot + SLOT - DQNN_STORE_JOURNAL_BYTES;
  for (uint32_t at = 0; at < DQNN_STORE_JOURNAL_BYTES; at += DQNN_STORE_CELL_BYTES) {
    uint8_t *cell = journal + at;
    if (cell[0] != 0xFF) {
      uint32_t crc = blob_crc(cell, DQNN_STORE_CELL_BYTES - 4);
      memcpy(cell + DQNN_STORE_CELL_BYTES - 4, &crc, sizeof crc);
    }
  }
}

static void check_running(const device *d) {
  dqnn_model_info info;
  dqnn_slot_info slot;
  if (d->it != NULL && (dqnn_model_of(d->it, &info) != DQNN_OK ||
                        dqnn_verify(info.file, info.file_bytes, &d->options, NULL) != DQNN_OK)) {
    abort();
  }
  dqnn_store_slot(&d->store, 0, &slot);
  dqnn_store_slot(&d->store, 1, &slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static device d;
  static blob next;
  if (next.bytes == NULL) {
    next = blob_load(DQNN_FUZZ_BLOBS, "tested_old.dqnn");
  }
  device_make(&d, &small);
  memcpy(d.flash.bytes, data, size < d.flash.size ? size : d.flash.size);
  seal_cells(d.flash.bytes);
  seal_cells(d.flash.bytes + SLOT);
  for (uint32_t i = 0; i < d.flash.size; ++i) {
    d.flash.programmed[i] = d.flash.bytes[i] != d.flash.geometry.erased;
  }
  device_on(&d);
  check_running(&d);
  device_on(&d);
  check_running(&d);
  if (d.it != NULL && dqnn_store_confirm(&d.store, d.it) != DQNN_OK) {
    (void)dqnn_store_rollback(&d.store);
    device_start(&d);
    check_running(&d);
  }
  if (device_upload(&d, next, 256) == DQNN_OK && dqnn_store_activate(&d.store) == DQNN_OK) {
    device_start(&d);
  } else {
    device_start(&d);
  }
  check_running(&d);
  device_free(&d);
  return 0;
}
