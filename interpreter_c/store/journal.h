/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The journal at a slot's end: cells that are programmed in order, each once. */
#ifndef DQNN_JOURNAL_H
#define DQNN_JOURNAL_H

#include "dqnn/dqnn_store.h"

/* The values are patterns of which a torn cell makes no other. */
typedef enum {
  DQNN_RECORD_ERASED = 0x45524153,    /* the slot was erased, `wear` times by now */
  DQNN_RECORD_INSTALLED = 0x494E5354, /* a whole, checked file lies in the slot */
  DQNN_RECORD_STARTED = 0x53545254,   /* it was started */
  DQNN_RECORD_CONFIRMED = 0x434F4E46  /* it stays; again, with a greater generation: it was gone back to */
} dqnn_record_kind;

typedef struct {
  uint32_t kind; /* dqnn_record_kind */
  uint32_t generation;
  uint32_t file_bytes, prefix_crc; /* of INSTALLED */
  uint32_t wear;                   /* of ERASED */
  uint32_t format;                 /* DQNN_STORE_FORMAT */
  uint32_t reserved;               /* 0 */
  uint32_t crc;                    /* of what is before it */
} dqnn_record;

/* What a journal says. */
typedef struct {
  bool installed, started, confirmed;
  bool wear_known;
  uint32_t wear;
  uint32_t generation; /* greatest of all cells, 0 if nothing is installed */
  uint32_t file_bytes, prefix_crc;
} dqnn_journal;

dqnn_journal dqnn_journal_read(const dqnn_store_config *config, uint32_t slot);

/* Programs the next free cell; false if there is none or the flash does not take it. */
bool dqnn_journal_append(const dqnn_store_config *config, uint32_t slot, dqnn_record record);

/* Programs whole units and reads them back. */
bool dqnn_flash_program(const dqnn_store_config *config, uint32_t offset, const void *data, uint32_t bytes);

#endif
