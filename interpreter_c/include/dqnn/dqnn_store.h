/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Two slots for models in flash: one runs, the other takes the next. A new model becomes active only after every check
 * and its self-test, at first on trial: unless it is confirmed, the next start goes back to the one before. Power may
 * fail at any moment: whatever was being erased or programmed, the next start finds a complete model.
 *
 * An object beside the interpreter, which never needs it; it needs no link either (dqnn_link.h): an application may
 * feed it from anywhere. No heap, no globals. All sizes and offsets are in bytes.
 *
 * In flash a slot is the file, from its start, and at its end a journal of DQNN_STORE_CELLS cells that are programmed
 * one after the other and never again until the slot is erased: how often it was erased, what was installed, started,
 * confirmed. A cell counts only whole, with its checksum; a torn one is passed over. Which model runs follows from both
 * journals alone: the greatest generation, if it is confirmed, or was never started; else the other, if that is
 * confirmed. To go back is to confirm the older model anew under a greater generation. */
#ifndef DQNN_STORE_H
#define DQNN_STORE_H

#include "dqnn_slots.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DQNN_STORE_FORMAT 1u /* of the journal */
/* An installation takes 4, each rollback 1 of the other slot, each power cut 1 at most. */
#define DQNN_STORE_CELLS 16u
#define DQNN_STORE_CELL_BYTES 32u
#define DQNN_STORE_JOURNAL_BYTES (DQNN_STORE_CELLS * DQNN_STORE_CELL_BYTES)

enum {
  /* A model whose version is lower than the confirmed one's is refused, and a confirmed model stays: only one on trial
   * can be rolled back. */
  DQNN_STORE_NO_DOWNGRADE = 1
};

/* The flash, and what is allowed. Must stay as it is while the store is in use. */
typedef struct {
  void *context; /* passed to the functions */
  /* Where offset 0 is read as memory: models run there in place. */
  const uint8_t *base;
  /* Of each slot: a multiple of erase_bytes, and base + offset a multiple of 16. Slots do not overlap. */
  uint32_t slot_offset[2];
  /* Of each slot: a multiple of erase_bytes. A file may have DQNN_STORE_JOURNAL_BYTES less. */
  uint32_t slot_bytes;
  uint32_t erase_bytes; /* what erase() erases at once */
  /* What program() takes at least and in multiples of, aligned: a power of two, 1 to DQNN_STORE_CELL_BYTES. Each such
   * unit is programmed once after an erase, as flash with error correction demands. */
  uint32_t program_bytes;
  uint8_t erased; /* what erased bytes read as: 0xFF nearly everywhere */
  /* Erases the unit at an offset; false if that failed. */
  bool (*erase)(void *context, uint32_t offset);
  bool (*program)(void *context, uint32_t offset, const void *data, uint32_t bytes);
  /* Reads the journal; false if it cannot be read, e.g. an error that the flash cannot correct. NULL: as memory. */
  bool (*read)(void *context, uint32_t offset, void *data, uint32_t bytes);
  /* A model that is part of the firmware, for when no slot has one. NULL: none. */
  const void *factory;
  uint32_t factory_bytes;
  uint32_t wear_limit; /* erases of a slot after which uploads are refused; 0: none */
  uint32_t flags;      /* DQNN_STORE_* */
} dqnn_store_config;

/* The state of a store; its fields are its own. */
typedef struct {
  const dqnn_store_config *config;
  uint8_t running; /* a slot, or what stands for the factory's model or none */
  uint8_t target;  /* slot of the upload */
  bool uploading, verified;
  uint32_t file_bytes, received;
  uint32_t clean; /* up to where the target is erased */
} dqnn_store;

/* Takes over a flash in whatever state it is; writes nothing. Returns DQNN_OK, or ARGUMENT or ALIGNMENT for the config.
 */
dqnn_status dqnn_store_open(dqnn_store *store, const dqnn_store_config *config);

/* Loads the model that should run: at the first call after dqnn_store_open decides which, marks a model's first start,
 * and passes over files that dqnn_init refuses; later, and after activate or rollback, the one that is due. Parameters
 * as of dqnn_init, whose options also check every upload. Returns DQNN_OK; NO_MODEL if there is none; or why dqnn_init
 * refused the one that was due and no other is there. */
dqnn_status dqnn_store_start(dqnn_store *store, dqnn_interpreter **it, void *memory, size_t bytes,
                             const dqnn_options *options, dqnn_fault *fault);

/* An upload: begin gives up the slot that does not run; blocks follow without gap, each a multiple of program_bytes but
 * for the last; verify makes every check of dqnn_init with these options, and the file's self-tests, in `memory`, which
 * no interpreter may be using; activate makes it the model that dqnn_store_start gives, on trial. Return DQNN_OK, or
 * SLOT_SIZE, SLOT_ORDER, SLOT_FLASH, SLOT_WORN, RANGE (a gap, a length), SLOT_DOWNGRADE, SELF_TEST, and verify whatever
 * dqnn_init returns. After any of these the running model is as it was. */
dqnn_status dqnn_store_begin(dqnn_store *store, uint32_t file_bytes);
dqnn_status dqnn_store_block(dqnn_store *store, uint32_t offset, const void *data, uint32_t bytes);
dqnn_status dqnn_store_verify(dqnn_store *store, void *memory, size_t bytes, const dqnn_options *options,
                              dqnn_fault *fault);
dqnn_status dqnn_store_activate(dqnn_store *store);

/* The running model stays, after its self-tests on `it`, its interpreter. DQNN_OK also if it is confirmed already. */
dqnn_status dqnn_store_confirm(dqnn_store *store, dqnn_interpreter *it);

/* The model before becomes due again: SLOT_NO_OTHER if there is none that was confirmed and is intact. */
dqnn_status dqnn_store_rollback(dqnn_store *store);

/* Slot 0 or 1. Its wear: a power cut right after an erase loses the count, the other slot's is taken then. */
void dqnn_store_slot(const dqnn_store *store, uint32_t slot, dqnn_slot_info *out);

/* The store as dqnn_link_config.slots takes it; both must outlive the link. */
dqnn_slots dqnn_store_slots(dqnn_store *store);

#ifdef __cplusplus
}
#endif
#endif
