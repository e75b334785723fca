/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* The slots' life: which model is due, and how a new one comes in. Every state that power can leave is one that start()
 * understands: a record is appended only after what it says is true in flash. */
#include "dqnn/dqnn_store.h"

#include <string.h>

#include "../src/model.h"
#include "journal.h"

enum { SLOTS = 2, FACTORY = 0xFE, NONE = 0xFF, UNDECIDED = 0xFD };

static uint32_t most_file_bytes(const dqnn_store_config *config) {
  return config->slot_bytes - DQNN_STORE_JOURNAL_BYTES;
}

static const uint8_t *slot_start(const dqnn_store_config *config, uint32_t slot) {
  return config->base + config->slot_offset[slot];
}

/* Only of a slot whose file has arrived; alignment was checked by dqnn_store_open. */
static const dqnn_prefix *prefix_in(const dqnn_store *store, uint32_t slot) {
  return (const void *)slot_start(store->config, slot);
}

static uint32_t newest_generation(const dqnn_store *store) {
  uint32_t first = dqnn_journal_read(store->config, 0).generation;
  uint32_t second = dqnn_journal_read(store->config, 1).generation;
  return first > second ? first : second;
}

static bool good_geometry(const dqnn_store_config *c) {
  uint32_t unit = c->program_bytes;
  bool sizes = c->erase_bytes != 0 && c->slot_bytes % c->erase_bytes == 0 && c->slot_bytes > DQNN_STORE_JOURNAL_BYTES &&
               c->slot_bytes <= INT32_MAX;
  bool units = unit != 0 && unit <= DQNN_STORE_CELL_BYTES && (unit & (unit - 1)) == 0 && c->erase_bytes % unit == 0;
  uint32_t low = c->slot_offset[0] < c->slot_offset[1] ? c->slot_offset[0] : c->slot_offset[1];
  uint32_t high = c->slot_offset[0] + c->slot_offset[1] - low;
  return sizes && units && low % c->erase_bytes == 0 && high % c->erase_bytes == 0 && high - low >= c->slot_bytes;
}

dqnn_status dqnn_store_open(dqnn_store *store, const dqnn_store_config *config) {
  if (store == NULL || config == NULL || config->base == NULL || config->erase == NULL || config->program == NULL ||
      !good_geometry(config)) {
    return DQNN_ERROR_ARGUMENT;
  }
  for (uint32_t slot = 0; slot < SLOTS; ++slot) {
    if ((uintptr_t)slot_start(config, slot) % DQNN_ALIGNMENT != 0) {
      return DQNN_ERROR_ALIGNMENT;
    }
  }
  memset(store, 0, sizeof *store);
  store->config = config;
  store->running = UNDECIDED;
  return DQNN_OK;
}

/* ---- which model is due ---- */

static bool append(const dqnn_store *store, uint32_t slot, dqnn_record_kind kind, uint32_t generation) {
  return dqnn_journal_append(store->config, slot, (dqnn_record){.kind = kind, .generation = generation});
}

/* May the model in a slot run? Marks a first start. */
static bool is_due(const dqnn_store *store, uint32_t slot) {
  dqnn_journal journal = dqnn_journal_read(store->config, slot);
  if (!journal.installed || journal.file_bytes > most_file_bytes(store->config)) {
    return false;
  }
  if (prefix_in(store, slot)->prefix_crc != journal.prefix_crc) {
    return false; /* another file than was installed */
  }
  if (journal.confirmed) {
    return true;
  }
  return !journal.started && append(store, slot, DQNN_RECORD_STARTED, journal.generation);
}

typedef struct {
  dqnn_interpreter **it;
  void *memory;
  size_t bytes;
  const dqnn_options *options;
  dqnn_fault *fault;
} loading;

static dqnn_status load_from(dqnn_store *store, uint32_t place, const loading *to) {
  const void *file = store->config->factory;
  uint32_t bytes = store->config->factory_bytes;
  if (place < SLOTS) {
    file = slot_start(store->config, place);
    bytes = most_file_bytes(store->config);
  } else if (place == NONE || file == NULL) {
    return DQNN_ERROR_NO_MODEL;
  }
  dqnn_status status = dqnn_init(to->it, to->memory, to->bytes, file, bytes, to->options, to->fault);
  store->running = status == DQNN_OK ? (uint8_t)place : NONE;
  return status;
}

/* The newest model that is due and loads; then the other; then the factory's. Where none does: what was wrong with the
 * first. */
static dqnn_status decide(dqnn_store *store, const loading *to) {
  const dqnn_store_config *config = store->config;
  uint32_t newest = dqnn_journal_read(config, 1).generation > dqnn_journal_read(config, 0).generation;
  const uint8_t order[] = {(uint8_t)newest, (uint8_t)(1 - newest), FACTORY};
  dqnn_status first = DQNN_ERROR_NO_MODEL;
  dqnn_fault why = *to->fault;
  store->running = NONE;
  for (uint32_t i = 0; i < sizeof order; ++i) {
    if (order[i] < SLOTS && !is_due(store, order[i])) {
      continue;
    }
    dqnn_status status = load_from(store, order[i], to);
    if (status == DQNN_OK) {
      return status;
    }
    if (first == DQNN_ERROR_NO_MODEL) {
      first = status;
      why = *to->fault;
    }
  }
  *to->fault = why;
  return first;
}

dqnn_status dqnn_store_start(dqnn_store *store, dqnn_interpreter **it, void *memory, size_t bytes,
                             const dqnn_options *options, dqnn_fault *fault) {
  dqnn_fault unwanted;
  const loading to = {it, memory, bytes, options, fault != NULL ? fault : &unwanted};
  if (it == NULL) {
    return DQNN_ERROR_ARGUMENT;
  }
  *it = NULL;
  *to.fault = (dqnn_fault){DQNN_NONE, DQNN_NONE, DQNN_NONE, 0};
  return store->running == UNDECIDED ? decide(store, &to) : load_from(store, store->running, &to);
}

/* ---- uploads ---- */

static bool on_trial(const dqnn_store *store) {
  return store->running < SLOTS && !dqnn_journal_read(store->config, store->running).confirmed;
}

/* The slot that does not run; of two that do not, the older. */
static uint32_t slot_to_give_up(const dqnn_store *store) {
  if (store->running < SLOTS) {
    return 1u - store->running;
  }
  return dqnn_journal_read(store->config, 0).generation > dqnn_journal_read(store->config, 1).generation;
}

static bool erase_up_to(dqnn_store *store, uint32_t end) {
  const dqnn_store_config *config = store->config;
  uint32_t journal = config->slot_bytes - DQNN_STORE_JOURNAL_BYTES;
  for (; store->clean < end; store->clean += config->erase_bytes) {
    bool done = store->clean + config->erase_bytes > journal; /* begin did it */
    if (!done && !config->erase(config->context, config->slot_offset[store->target] + store->clean)) {
      return false;
    }
  }
  return true;
}

/* A model that was given up may have a greater generation than the one that runs. Were its journal erased by halves, it
 * could look as if it had never been started: so the running one is confirmed anew before. Without a free cell for
 * that, such a model would get a second trial, no more. */
static void outrank(const dqnn_store *store) {
  uint32_t newest = newest_generation(store);
  if (store->running < SLOTS && dqnn_journal_read(store->config, store->running).generation < newest) {
    (void)append(store, store->running, DQNN_RECORD_CONFIRMED, newest + 1);
  }
}

/* The journal goes first, its beginning before its end: without it the rest is no model. */
static bool erase_journal(const dqnn_store *store) {
  const dqnn_store_config *config = store->config;
  uint32_t first = (config->slot_bytes - DQNN_STORE_JOURNAL_BYTES) / config->erase_bytes * config->erase_bytes;
  for (uint32_t at = first; at < config->slot_bytes; at += config->erase_bytes) {
    if (!config->erase(config->context, config->slot_offset[store->target] + at)) {
      return false;
    }
  }
  return true;
}

static uint32_t wear_of(const dqnn_store *store, uint32_t slot) {
  dqnn_journal own = dqnn_journal_read(store->config, slot), other = dqnn_journal_read(store->config, 1 - slot);
  return own.wear_known ? own.wear : other.wear;
}

dqnn_status dqnn_store_begin(dqnn_store *store, uint32_t file_bytes) {
  const dqnn_store_config *config = store->config;
  store->uploading = store->verified = false;
  if (store->running == UNDECIDED || on_trial(store)) {
    return DQNN_ERROR_SLOT_ORDER;
  }
  if (file_bytes < sizeof(dqnn_prefix) || file_bytes > most_file_bytes(config)) {
    return DQNN_ERROR_SLOT_SIZE;
  }
  store->target = (uint8_t)slot_to_give_up(store);
  uint32_t wear = wear_of(store, store->target);
  if (config->wear_limit != 0 && wear >= config->wear_limit) {
    return DQNN_ERROR_SLOT_WORN;
  }
  const dqnn_record record = {.kind = DQNN_RECORD_ERASED, .wear = wear + 1};
  outrank(store);
  if (!erase_journal(store) || !dqnn_journal_append(config, store->target, record)) {
    return DQNN_ERROR_SLOT_FLASH;
  }
  store->uploading = true;
  store->file_bytes = file_bytes;
  store->received = store->clean = 0;
  return DQNN_OK;
}

/* The last bytes of a file, filled up to a unit. */
static bool program_tail(const dqnn_store *store, uint32_t offset, const uint8_t *data, uint32_t bytes) {
  uint8_t unit[DQNN_STORE_CELL_BYTES];
  memset(unit, store->config->erased, sizeof unit);
  memcpy(unit, data, bytes);
  return bytes == 0 || dqnn_flash_program(store->config, offset, unit, store->config->program_bytes);
}

dqnn_status dqnn_store_block(dqnn_store *store, uint32_t offset, const void *data, uint32_t bytes) {
  const dqnn_store_config *config = store->config;
  uint32_t tail = bytes % config->program_bytes;
  if (!store->uploading) {
    return DQNN_ERROR_SLOT_ORDER;
  }
  if (offset != store->received || bytes > store->file_bytes - offset ||
      (tail != 0 && offset + bytes != store->file_bytes)) {
    return DQNN_ERROR_RANGE;
  }
  uint32_t place = config->slot_offset[store->target] + offset, whole = bytes - tail;
  store->verified = false;
  if (!erase_up_to(store, offset + bytes) || (whole != 0 && !dqnn_flash_program(config, place, data, whole)) ||
      !program_tail(store, place + whole, (const uint8_t *)data + whole, tail)) {
    store->uploading = false;
    return DQNN_ERROR_SLOT_FLASH;
  }
  store->received += bytes;
  return DQNN_OK;
}

static bool is_downgrade(const dqnn_store *store) {
  const dqnn_prefix *now = store->running < SLOTS      ? prefix_in(store, store->running)
                           : store->running == FACTORY ? store->config->factory
                                                       : NULL;
  return (store->config->flags & DQNN_STORE_NO_DOWNGRADE) != 0 && now != NULL &&
         prefix_in(store, store->target)->model_version < now->model_version;
}

dqnn_status dqnn_store_verify(dqnn_store *store, void *memory, size_t bytes, const dqnn_options *options,
                              dqnn_fault *fault) {
  dqnn_interpreter *it;
  store->verified = false;
  if (!store->uploading || store->received != store->file_bytes) {
    return DQNN_ERROR_SLOT_ORDER;
  }
  const void *file = slot_start(store->config, store->target);
  dqnn_status status = dqnn_init(&it, memory, bytes, file, store->file_bytes, options, fault);
  if (status == DQNN_OK && prefix_in(store, store->target)->total_bytes != store->file_bytes) {
    status = DQNN_ERROR_RANGE;
  }
  if (status == DQNN_OK && is_downgrade(store)) {
    status = DQNN_ERROR_SLOT_DOWNGRADE;
  }
  if (status == DQNN_OK) {
    status = dqnn_self_test(it, NULL);
  }
  store->verified = status == DQNN_OK;
  return status;
}

dqnn_status dqnn_store_activate(dqnn_store *store) {
  if (!store->verified) {
    return DQNN_ERROR_SLOT_ORDER;
  }
  const dqnn_record record = {
      .kind = DQNN_RECORD_INSTALLED,
      .generation = newest_generation(store) + 1,
      .file_bytes = store->file_bytes,
      .prefix_crc = prefix_in(store, store->target)->prefix_crc,
  };
  store->uploading = store->verified = false;
  if (!dqnn_journal_append(store->config, store->target, record)) {
    return DQNN_ERROR_SLOT_FLASH;
  }
  store->running = UNDECIDED;
  return DQNN_OK;
}

/* ---- staying, and going back ---- */

dqnn_status dqnn_store_confirm(dqnn_store *store, dqnn_interpreter *it) {
  if (store->running >= SLOTS) {
    return DQNN_ERROR_SLOT_ORDER;
  }
  if (!on_trial(store)) {
    return DQNN_OK;
  }
  dqnn_status status = dqnn_self_test(it, NULL);
  if (status == DQNN_OK && !append(store, store->running, DQNN_RECORD_CONFIRMED, newest_generation(store))) {
    status = DQNN_ERROR_SLOT_FLASH;
  }
  return status;
}

static bool is_intact(const dqnn_store *store, uint32_t slot) {
  dqnn_requirements need;
  dqnn_journal journal = dqnn_journal_read(store->config, slot);
  return journal.confirmed && prefix_in(store, slot)->prefix_crc == journal.prefix_crc &&
         dqnn_requirements_of(prefix_in(store, slot), most_file_bytes(store->config), &need) == DQNN_OK;
}

dqnn_status dqnn_store_rollback(dqnn_store *store) {
  if (store->running >= SLOTS) {
    return DQNN_ERROR_SLOT_NO_OTHER;
  }
  uint32_t other = 1u - store->running;
  bool trial = on_trial(store), intact = is_intact(store, other);
  if (!trial && (store->config->flags & DQNN_STORE_NO_DOWNGRADE) != 0) {
    return DQNN_ERROR_SLOT_DOWNGRADE;
  }
  if (!intact && !(trial && store->config->factory != NULL)) {
    return DQNN_ERROR_SLOT_NO_OTHER;
  }
  bool recorded = intact && append(store, other, DQNN_RECORD_CONFIRMED, newest_generation(store) + 1);
  if (!recorded && !trial) {
    return DQNN_ERROR_SLOT_FLASH;
  }
  store->uploading = store->verified = false;
  store->running = UNDECIDED;
  return DQNN_OK;
}

/* ---- looking ---- */

static dqnn_slot_state state_of(const dqnn_store *store, uint32_t slot, const dqnn_journal *journal) {
  if (!journal->installed) {
    return store->uploading && slot == store->target ? DQNN_SLOT_PARTIAL : DQNN_SLOT_EMPTY;
  }
  if (journal->confirmed) {
    return DQNN_SLOT_CONFIRMED;
  }
  if (!journal->started) {
    return DQNN_SLOT_INSTALLED;
  }
  return slot == store->running ? DQNN_SLOT_TRIAL : DQNN_SLOT_REJECTED;
}

void dqnn_store_slot(const dqnn_store *store, uint32_t slot, dqnn_slot_info *out) {
  dqnn_journal journal = dqnn_journal_read(store->config, slot);
  *out = (dqnn_slot_info){
      .state = (uint8_t)state_of(store, slot, &journal),
      .running = slot == store->running,
      .generation = journal.generation,
      .file_bytes = journal.file_bytes,
      .prefix_crc = journal.prefix_crc,
      .wear = wear_of(store, slot),
  };
  if (journal.installed) {
    out->model_version = prefix_in(store, slot)->model_version;
    out->model_id = prefix_in(store, slot)->model_id;
  } else if (out->state == DQNN_SLOT_PARTIAL) {
    out->file_bytes = store->received;
  }
}
