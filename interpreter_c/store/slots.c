/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The store behind the link's interface. */
#include "dqnn/dqnn_store.h"

static dqnn_status begin(void *context, uint32_t file_bytes) {
  return dqnn_store_begin(context, file_bytes);
}

static dqnn_status block(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  return dqnn_store_block(context, offset, data, bytes);
}

static dqnn_status verify(void *context, void *memory, size_t bytes, const dqnn_options *options, dqnn_fault *fault) {
  return dqnn_store_verify(context, memory, bytes, options, fault);
}

static dqnn_status activate(void *context) {
  return dqnn_store_activate(context);
}

static dqnn_status confirm(void *context, dqnn_interpreter *it) {
  return dqnn_store_confirm(context, it);
}

static dqnn_status rollback(void *context) {
  return dqnn_store_rollback(context);
}

static dqnn_status start(void *context, dqnn_interpreter **it, void *memory, size_t bytes, const dqnn_options *options,
                         dqnn_fault *fault) {
  return dqnn_store_start(context, it, memory, bytes, options, fault);
}

static void slot(void *context, uint32_t number, dqnn_slot_info *out) {
  dqnn_store_slot(context, number, out);
}

dqnn_slots dqnn_store_slots(dqnn_store *store) {
  return (dqnn_slots){
      .context = store,
      .file_bytes = store->config->slot_bytes - DQNN_STORE_JOURNAL_BYTES,
      .block_bytes = (uint16_t)store->config->program_bytes,
      .count = 2,
      .begin = begin,
      .block = block,
      .verify = verify,
      .activate = activate,
      .confirm = confirm,
      .rollback = rollback,
      .start = start,
      .slot = slot,
  };
}
