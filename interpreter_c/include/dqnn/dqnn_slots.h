/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* What dqnn_link.h asks of whatever keeps a device's models, so that neither it nor dqnn_store.h needs the other. */
#ifndef DQNN_SLOTS_H
#define DQNN_SLOTS_H

#include "dqnn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  DQNN_SLOT_EMPTY = 0,     /* nothing that could run */
  DQNN_SLOT_PARTIAL = 1,   /* an upload that is not activated */
  DQNN_SLOT_INSTALLED = 2, /* complete and checked, never run */
  DQNN_SLOT_TRIAL = 3,     /* runs, and is not confirmed: the next start goes back */
  DQNN_SLOT_CONFIRMED = 4,
  DQNN_SLOT_REJECTED = 5 /* was started and never confirmed */
} dqnn_slot_state;

/* A slot, as LINK.md sends it. */
typedef struct {
  uint8_t state; /* dqnn_slot_state */
  uint8_t running;
  uint16_t model_version;
  uint32_t generation; /* counts installations and rollbacks, the newest has the greatest; 0: none */
  uint32_t file_bytes; /* of the file, or of what has arrived of it */
  uint32_t prefix_crc; /* identity of the file: the CRC of its prefix, which covers length and checksum of the rest */
  uint32_t model_id;
  uint32_t wear; /* times that the slot was erased, as far as is known */
} dqnn_slot_info;

/* Functions return DQNN_OK or why it was not done; dqnn_store.h says what each does. */
typedef struct {
  void *context;        /* passed to all */
  uint32_t file_bytes;  /* the largest file */
  uint16_t block_bytes; /* a block's length is a multiple of it, but for a file's last */
  uint16_t count;       /* of slots */
  dqnn_status (*begin)(void *context, uint32_t file_bytes);
  dqnn_status (*block)(void *context, uint32_t offset, const void *data, uint32_t bytes);
  dqnn_status (*verify)(void *context, void *memory, size_t bytes, const dqnn_options *options, dqnn_fault *fault);
  dqnn_status (*activate)(void *context);
  dqnn_status (*confirm)(void *context, dqnn_interpreter *it);
  dqnn_status (*rollback)(void *context);
  dqnn_status (*start)(void *context, dqnn_interpreter **it, void *memory, size_t bytes, const dqnn_options *options,
                       dqnn_fault *fault);
  void (*slot)(void *context, uint32_t slot, dqnn_slot_info *out);
} dqnn_slots;

#ifdef __cplusplus
}
#endif
#endif
