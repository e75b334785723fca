/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* See journal.h. Nothing of the journal is held in RAM: it is read when it is asked. */
#include "journal.h"

#include <string.h>

#include "../src/model.h"

_Static_assert(sizeof(dqnn_record) == DQNN_STORE_CELL_BYTES, "a cell is a record");

static uint32_t cell_offset(const dqnn_store_config *config, uint32_t slot, uint32_t cell) {
  return config->slot_offset[slot] + config->slot_bytes - DQNN_STORE_JOURNAL_BYTES + cell * DQNN_STORE_CELL_BYTES;
}

static bool read_flash(const dqnn_store_config *config, uint32_t offset, void *data, uint32_t bytes) {
  if (config->read != NULL) {
    return config->read(config->context, offset, data, bytes);
  }
  memcpy(data, config->base + offset, bytes);
  return true;
}

static bool valid(const dqnn_record *record) {
  return record->format == DQNN_STORE_FORMAT && record->crc == dqnn_crc32(record, offsetof(dqnn_record, crc));
}

static void take(dqnn_journal *journal, const dqnn_record *record) {
  switch (record->kind) {
    case DQNN_RECORD_ERASED:
      journal->wear_known = true;
      journal->wear = record->wear;
      return;
    case DQNN_RECORD_INSTALLED:
      journal->installed = true;
      journal->file_bytes = record->file_bytes;
      journal->prefix_crc = record->prefix_crc;
      break;
    case DQNN_RECORD_STARTED:
      journal->started = true;
      break;
    case DQNN_RECORD_CONFIRMED:
      journal->confirmed = true;
      break;
    default:
      return;
  }
  if (record->generation > journal->generation) {
    journal->generation = record->generation;
  }
}

dqnn_journal dqnn_journal_read(const dqnn_store_config *config, uint32_t slot) {
  dqnn_journal journal = {0};
  dqnn_record record;
  for (uint32_t cell = 0; cell < DQNN_STORE_CELLS; ++cell) {
    if (read_flash(config, cell_offset(config, slot, cell), &record, sizeof record) && valid(&record)) {
      take(&journal, &record);
    }
  }
  if (!journal.installed) {
    journal.started = journal.confirmed = false; /* of a file that is not there */
    journal.generation = 0;
  }
  return journal;
}

static bool is_free(const dqnn_store_config *config, uint32_t offset) {
  uint8_t cell[DQNN_STORE_CELL_BYTES];
  if (!read_flash(config, offset, cell, sizeof cell)) {
    return false;
  }
  for (uint32_t i = 0; i < sizeof cell; ++i) {
    if (cell[i] != config->erased) {
      return false;
    }
  }
  return true;
}

bool dqnn_flash_program(const dqnn_store_config *config, uint32_t offset, const void *data, uint32_t bytes) {
  return config->program(config->context, offset, data, bytes) && memcmp(config->base + offset, data, bytes) == 0;
}

bool dqnn_journal_append(const dqnn_store_config *config, uint32_t slot, dqnn_record record) {
  record.format = DQNN_STORE_FORMAT;
  record.crc = dqnn_crc32(&record, offsetof(dqnn_record, crc));
  for (uint32_t cell = 0; cell < DQNN_STORE_CELLS; ++cell) {
    uint32_t offset = cell_offset(config, slot, cell);
    if (is_free(config, offset) && dqnn_flash_program(config, offset, &record, sizeof record)) {
      return true;
    }
  }
  return false;
}
