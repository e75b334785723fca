/* The store on strict flash without power cuts: what it refuses, in which order, what it counts; defects of the flash.
 * test_power.c cuts the power. */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "test.h"

static const geometry plain = {"4 KiB slots of 1 KiB units, 8-byte programs", 1024, 8, 4096, 1024, 0xFF};
enum { BLOCK = 64, OLD = 0x1005, NEW = 0x1006, LOWER = 0x1004, NONE = 0x1007 };

static device d;
static blob old_file, new_file, lower_file, none_file;

static dqnn_slot_info slot(uint32_t i) {
  dqnn_slot_info info;
  dqnn_store_slot(&d.store, i, &info);
  return info;
}

static void begin_device(void) {
  device_make(&d, &plain);
  device_on(&d);
}

/* Uploads and activates; the model runs on trial. */
static void install(blob file) {
  CHECK_EQUAL(device_upload(&d, file, BLOCK), DQNN_OK);
  CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_OK);
  device_start(&d);
  CHECK_EQUAL(d.status, DQNN_OK);
}

static void install_confirmed(blob file) {
  install(file);
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_OK);
}

/* ---- the config ---- */

typedef struct {
  const char *name;
  void (*edit)(dqnn_store_config *c);
  dqnn_status status;
} config_case;

static void no_edit(dqnn_store_config *c) {
  (void)c;
}
static void no_base(dqnn_store_config *c) {
  c->base = NULL;
}
static void no_erase(dqnn_store_config *c) {
  c->erase = NULL;
}
static void no_program(dqnn_store_config *c) {
  c->program = NULL;
}
static void no_unit(dqnn_store_config *c) {
  c->erase_bytes = 0;
}
static void odd_unit(dqnn_store_config *c) {
  c->program_bytes = 24;
}
static void big_unit(dqnn_store_config *c) {
  c->program_bytes = 64;
}
static void zero_unit(dqnn_store_config *c) {
  c->program_bytes = 0;
}
static void small_slot(dqnn_store_config *c) {
  c->slot_bytes = c->erase_bytes = DQNN_STORE_JOURNAL_BYTES;
}
static void part_slot(dqnn_store_config *c) {
  c->slot_bytes += 512;
}
static void overlapping(dqnn_store_config *c) {
  c->slot_offset[1] = c->slot_offset[0] + 1024;
}
static void same_slot(dqnn_store_config *c) {
  c->slot_offset[1] = c->slot_offset[0];
}
static void odd_slot(dqnn_store_config *c) {
  c->slot_offset[1] += 512;
}
static void unaligned(dqnn_store_config *c) {
  c->base += 8;
}
static void swapped(dqnn_store_config *c) {
  c->slot_offset[0] = c->slot_offset[1];
  c->slot_offset[1] = 0;
}
static void no_read(dqnn_store_config *c) {
  c->read = NULL;
}

static const config_case config_cases[] = {
    {"unchanged", no_edit, DQNN_OK},
    {"slots in the other order", swapped, DQNN_OK},
    {"read as memory", no_read, DQNN_OK},
    {"no base", no_base, DQNN_ERROR_ARGUMENT},
    {"no erase", no_erase, DQNN_ERROR_ARGUMENT},
    {"no program", no_program, DQNN_ERROR_ARGUMENT},
    {"erase unit 0", no_unit, DQNN_ERROR_ARGUMENT},
    {"program unit 24", odd_unit, DQNN_ERROR_ARGUMENT},
    {"program unit 64", big_unit, DQNN_ERROR_ARGUMENT},
    {"program unit 0", zero_unit, DQNN_ERROR_ARGUMENT},
    {"nothing but a journal", small_slot, DQNN_ERROR_ARGUMENT},
    {"half a unit", part_slot, DQNN_ERROR_ARGUMENT},
    {"slots overlap", overlapping, DQNN_ERROR_ARGUMENT},
    {"slots are one", same_slot, DQNN_ERROR_ARGUMENT},
    {"slot inside a unit", odd_slot, DQNN_ERROR_ARGUMENT},
    {"base not at 16", unaligned, DQNN_ERROR_ALIGNMENT},
};

static void test_config(void) {
  begin_device();
  for (size_t i = 0; i < sizeof config_cases / sizeof config_cases[0]; ++i) {
    dqnn_store_config c = d.config;
    dqnn_store store;
    test_label = config_cases[i].name;
    config_cases[i].edit(&c);
    CHECK_EQUAL(dqnn_store_open(&store, &c), config_cases[i].status);
  }
  test_label = NULL;
  CHECK_EQUAL(dqnn_store_open(NULL, &d.config), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_store_open(&d.store, NULL), DQNN_ERROR_ARGUMENT);
  device_free(&d);
}

/* ---- the usual way ---- */

static void test_life(void) {
  begin_device();
  CHECK_EQUAL(d.status, DQNN_ERROR_NO_MODEL);
  CHECK(slot(0).state == DQNN_SLOT_EMPTY && slot(1).state == DQNN_SLOT_EMPTY);
  install(old_file);
  CHECK_EQUAL(device_runs(&d), OLD);
  CHECK(slot(0).state == DQNN_SLOT_TRIAL && slot(0).running && slot(0).generation == 1 && slot(0).wear == 1);
  CHECK(slot(0).file_bytes == old_file.size && slot(0).model_id == OLD && slot(0).model_version == 5);
  CHECK_EQUAL(slot(0).prefix_crc, blob_prefix(old_file)->prefix_crc);
  CHECK_EQUAL(dqnn_store_begin(&d.store, 1000), DQNN_ERROR_SLOT_ORDER); /* on trial */
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_OK);
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_OK);
  CHECK_EQUAL(slot(0).state, DQNN_SLOT_CONFIRMED);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);

  install(new_file);
  CHECK_EQUAL(device_runs(&d), NEW);
  CHECK(slot(1).state == DQNN_SLOT_TRIAL && slot(1).generation == 2 && !slot(0).running);
  device_on(&d); /* not confirmed */
  CHECK_EQUAL(device_runs(&d), OLD);
  CHECK_EQUAL(slot(1).state, DQNN_SLOT_REJECTED);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);

  install_confirmed(new_file);
  CHECK(slot(1).state == DQNN_SLOT_CONFIRMED && slot(1).generation == 4); /* 3: the old one's anew */
  CHECK_EQUAL(slot(1).wear, 3);                                           /* a slot without a count took the other's */
  CHECK_EQUAL(slot(0).generation, 3);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK);
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  CHECK_EQUAL(slot(0).generation, 5);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK); /* and forward again */
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  device_free(&d);
}

/* Rolling back a model on trial, with and without one to go back to. */
static void test_rollback_of_a_trial(void) {
  begin_device();
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER);
  install(old_file);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER);
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_OK);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER);
  install(new_file);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK);
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  install(new_file);
  d.flash.bytes[200] ^= 1; /* the confirmed one is no longer intact: its trial is the lesser evil */
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER);
  CHECK_EQUAL(device_runs(&d), NEW);
  device_free(&d);
}

static void test_factory(void) {
  begin_device();
  d.config.factory = old_file.bytes;
  d.config.factory_bytes = old_file.size;
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_ERROR_SLOT_ORDER); /* it stands in no slot */
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER);
  install(new_file);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK);
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  install_confirmed(new_file);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_NO_OTHER); /* the factory's cannot be chosen for good */
  d.config.factory_bytes = 100;                                         /* a damaged one */
  memset(d.flash.bytes, 0xFF, d.flash.size);
  device_on(&d);
  CHECK_EQUAL(d.status, DQNN_ERROR_TRUNCATED);
  device_free(&d);
}

/* ---- refusals ---- */

static void test_order(void) {
  begin_device();
  dqnn_store fresh;
  CHECK_EQUAL(dqnn_store_open(&fresh, &d.config), DQNN_OK);
  CHECK_EQUAL(dqnn_store_begin(&fresh, 1000), DQNN_ERROR_SLOT_ORDER); /* nobody knows what runs */
  CHECK_EQUAL(dqnn_store_start(&fresh, NULL, d.memory, DEVICE_MEMORY, &d.options, NULL), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 8), DQNN_ERROR_SLOT_ORDER);
  CHECK_EQUAL(dqnn_store_verify(&d.store, d.memory, DEVICE_MEMORY, &d.options, &d.fault), DQNN_ERROR_SLOT_ORDER);
  CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_ERROR_SLOT_ORDER);
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_ERROR_SLOT_ORDER);
  CHECK_EQUAL(dqnn_store_begin(&d.store, old_file.size), DQNN_OK);
  CHECK_EQUAL(slot(0).state, DQNN_SLOT_PARTIAL);
  CHECK_EQUAL(dqnn_store_verify(&d.store, d.memory, DEVICE_MEMORY, &d.options, &d.fault), DQNN_ERROR_SLOT_ORDER);
  CHECK_EQUAL(dqnn_store_block(&d.store, 8, old_file.bytes, 8), DQNN_ERROR_RANGE);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 7), DQNN_ERROR_RANGE);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 64), DQNN_OK);
  CHECK_EQUAL(slot(0).file_bytes, 64);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 64), DQNN_ERROR_RANGE);
  CHECK_EQUAL(dqnn_store_block(&d.store, 64, old_file.bytes, old_file.size), DQNN_ERROR_RANGE);
  CHECK_EQUAL(dqnn_store_block(&d.store, 64, old_file.bytes, UINT32_MAX - 7), DQNN_ERROR_RANGE);
  CHECK_EQUAL(device_upload(&d, old_file, BLOCK), DQNN_OK); /* begins anew */
  CHECK_EQUAL(dqnn_store_block(&d.store, old_file.size, old_file.bytes, 0), DQNN_OK);
  CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_ERROR_SLOT_ORDER); /* a block came after verify */
  device_free(&d);
}

static void test_sizes(void) {
  begin_device();
  uint32_t most = plain.slot_bytes - DQNN_STORE_JOURNAL_BYTES;
  CHECK_EQUAL(dqnn_store_slots(&d.store).file_bytes, most);
  CHECK_EQUAL(dqnn_store_begin(&d.store, most + 1), DQNN_ERROR_SLOT_SIZE);
  CHECK_EQUAL(dqnn_store_begin(&d.store, UINT32_MAX), DQNN_ERROR_SLOT_SIZE);
  CHECK_EQUAL(dqnn_store_begin(&d.store, 63), DQNN_ERROR_SLOT_SIZE);
  CHECK_EQUAL(dqnn_store_begin(&d.store, most), DQNN_OK); /* and the journal is not touched by the last block */
  uint8_t *bytes = calloc(1, most);
  memcpy(bytes, old_file.bytes, old_file.size);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, bytes, most), DQNN_OK);
  CHECK_EQUAL(slot(0).wear, 1);
  CHECK_EQUAL(dqnn_store_verify(&d.store, d.memory, DEVICE_MEMORY, &d.options, &d.fault), DQNN_ERROR_RANGE);
  free(bytes);
  device_free(&d);
}

/* Every refusal of verify leaves the old model running, and the device ready for another upload. */
static void test_refused_files(const char *directory) {
  static const struct {
    const char *name;
    dqnn_status status;
  } files[] = {
      {"tested_wrong.dqnn", DQNN_ERROR_SELF_TEST}, {"tested_short.dqnn", DQNN_ERROR_STRUCTURE},
      {"tested_index.dqnn", DQNN_ERROR_STRUCTURE}, {"tested_ports.dqnn", DQNN_ERROR_STRUCTURE},
      {"crowded.dqnn", DQNN_ERROR_GRAPH},          {"bits.dqnn", DQNN_ERROR_MEMORY},
  };
  begin_device();
  install_confirmed(old_file);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
    blob b = blob_load(directory, files[i].name);
    test_label = files[i].name;
    CHECK_EQUAL(device_upload(&d, b, BLOCK), files[i].status);
    CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_ERROR_SLOT_ORDER);
    device_start(&d);
    CHECK_EQUAL(device_runs(&d), OLD);
    blob_free(b);
  }
  test_label = NULL;
  for (uint32_t at = 0; at < old_file.size; at += 5) { /* corrupt anywhere */
    blob b = blob_copy(new_file.bytes, new_file.size);
    b.bytes[at] ^= 0x10;
    CHECK(device_upload(&d, b, 512) != DQNN_OK);
    device_start(&d);
    CHECK_EQUAL(device_runs(&d), OLD);
    blob_free(b);
  }
  install_confirmed(new_file);
  CHECK_EQUAL(device_runs(&d), NEW);
  install(none_file); /* without tests */
  CHECK_EQUAL(device_runs(&d), NONE);
  device_free(&d);
}

static void test_downgrade(void) {
  begin_device();
  install_confirmed(old_file);
  install_confirmed(lower_file); /* allowed unless forbidden */
  d.config.flags = DQNN_STORE_NO_DOWNGRADE;
  device_on(&d);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_DOWNGRADE);
  install_confirmed(old_file);
  CHECK_EQUAL(device_upload(&d, lower_file, BLOCK), DQNN_ERROR_SLOT_DOWNGRADE);
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  install(old_file);                                   /* the same version */
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK); /* of a trial */
  device_start(&d);
  memset(d.flash.bytes, 0xFF, d.flash.size);
  memset(d.flash.programmed, 0, sizeof d.flash.programmed);
  d.config.factory = new_file.bytes;
  d.config.factory_bytes = new_file.size;
  device_on(&d);
  CHECK_EQUAL(device_upload(&d, old_file, BLOCK), DQNN_ERROR_SLOT_DOWNGRADE);
  device_free(&d);
}

static void test_wear(void) {
  begin_device();
  d.config.wear_limit = 3;
  for (uint32_t i = 1; i <= 3; ++i) {
    CHECK_EQUAL(device_upload(&d, old_file, BLOCK), DQNN_OK);
    CHECK_EQUAL(slot(0).wear, i);
  }
  CHECK_EQUAL(device_upload(&d, old_file, BLOCK), DQNN_ERROR_SLOT_WORN);
  CHECK_EQUAL(dqnn_store_begin(&d.store, 1000), DQNN_ERROR_SLOT_WORN);
  device_free(&d);
}

/* More rollbacks than the journal has cells: updates still come in, and only going back for good is refused. */
static void test_full_journal(void) {
  begin_device();
  install_confirmed(old_file);
  for (uint32_t i = 0; i < DQNN_STORE_CELLS + 5; ++i) {
    install(new_file);
    device_on(&d);
    CHECK_EQUAL(device_runs(&d), OLD);
  }
  install_confirmed(new_file);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_ERROR_SLOT_FLASH);
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  install_confirmed(old_file); /* its slot is erased, its journal new */
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK);
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  device_free(&d);
}

/* ---- defects ---- */

static void test_flash_that_fails(void) {
  begin_device();
  install_confirmed(old_file);
  d.flash.fails_erase = true;
  CHECK_EQUAL(dqnn_store_begin(&d.store, 1000), DQNN_ERROR_SLOT_FLASH);
  d.flash.fails_erase = false;
  d.flash.fails_program = true;
  CHECK_EQUAL(dqnn_store_begin(&d.store, 1000), DQNN_ERROR_SLOT_FLASH);
  d.flash.fails_program = false;
  CHECK_EQUAL(dqnn_store_begin(&d.store, old_file.size), DQNN_OK);
  d.flash.fails_erase = true;
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 64), DQNN_ERROR_SLOT_FLASH);
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 64), DQNN_ERROR_SLOT_ORDER); /* begin again */
  d.flash.fails_erase = false;
  CHECK_EQUAL(dqnn_store_begin(&d.store, old_file.size), DQNN_OK);
  d.flash.lies = true; /* found by reading back */
  CHECK_EQUAL(dqnn_store_block(&d.store, 0, old_file.bytes, 64), DQNN_ERROR_SLOT_FLASH);
  CHECK_EQUAL(dqnn_store_begin(&d.store, old_file.size), DQNN_ERROR_SLOT_FLASH);
  d.flash.lies = false;
  CHECK_EQUAL(device_upload(&d, new_file, BLOCK), DQNN_OK);
  d.flash.fails_program = true;
  CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_ERROR_SLOT_FLASH);
  d.flash.fails_program = false;
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  install(new_file);
  d.flash.fails_program = true;
  CHECK_EQUAL(dqnn_store_confirm(&d.store, d.it), DQNN_ERROR_SLOT_FLASH);
  CHECK_EQUAL(dqnn_store_rollback(&d.store), DQNN_OK); /* needs no record: a trial ends by itself */
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  d.flash.fails_program = false;
  CHECK_EQUAL(device_upload(&d, new_file, BLOCK), DQNN_OK);
  CHECK_EQUAL(dqnn_store_activate(&d.store), DQNN_OK);
  d.flash.fails_program = true; /* a trial that cannot be marked does not begin */
  device_start(&d);
  CHECK_EQUAL(device_runs(&d), OLD);
  device_free(&d);
}

/* A journal that cannot be read is no journal, and is not written to. */
static void test_unreadable_journal(void) {
  begin_device();
  install_confirmed(old_file);
  d.flash.fails_read = true;
  device_on(&d);
  CHECK_EQUAL(d.status, DQNN_ERROR_NO_MODEL);
  CHECK_EQUAL(dqnn_store_begin(&d.store, 1000), DQNN_ERROR_SLOT_FLASH);
  device_free(&d);
}

/* A confirmed model that rots gives way to the other; so does one that this firmware cannot run. */
static void test_rotten_model(void) {
  begin_device();
  install_confirmed(old_file);
  install_confirmed(new_file);
  uint32_t second = plain.slot_bytes + plain.gap_bytes;
  for (uint32_t at = 0; at < new_file.size; at += 3) {
    d.flash.bytes[second + at] ^= 4;
    device_on(&d);
    CHECK_EQUAL(device_runs(&d), OLD);
    d.flash.bytes[second + at] ^= 4;
  }
  device_on(&d);
  CHECK_EQUAL(device_runs(&d), NEW);
  d.options.kernel_count = 0;
  device_on(&d);
  CHECK_EQUAL(d.status, DQNN_ERROR_KERNEL_MISSING);
  CHECK(d.it == NULL && d.fault.kernel == 66);
  device_free(&d);
}

/* A sound file under a record of another, and a record with a length beyond the slot. */
static void test_foreign_file(void) {
  begin_device();
  install_confirmed(old_file);
  memcpy(d.flash.bytes, lower_file.bytes, lower_file.size);
  device_on(&d);
  CHECK_EQUAL(d.status, DQNN_ERROR_NO_MODEL);
  device_free(&d);
}

static void test_self_test(const char *directory) {
  static _Alignas(16) uint8_t memory[DEVICE_MEMORY];
  begin_device();
  dqnn_options options = d.options;
  dqnn_interpreter *it;
  uint32_t tests = 99;
  CHECK_EQUAL(dqnn_self_test(NULL, &tests), DQNN_ERROR_ARGUMENT);
  CHECK_EQUAL(dqnn_init(&it, memory, sizeof memory, old_file.bytes, old_file.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(dqnn_self_test(it, &tests), DQNN_OK);
  CHECK_EQUAL(tests, 2);
  CHECK_EQUAL(dqnn_init(&it, memory, sizeof memory, none_file.bytes, none_file.size, &options, NULL), DQNN_OK);
  CHECK_EQUAL(dqnn_self_test(it, &tests), DQNN_OK);
  CHECK_EQUAL(tests, 0);
  blob wrong = blob_load(directory, "tested_wrong.dqnn");
  CHECK_EQUAL(dqnn_init(&it, memory, sizeof memory, wrong.bytes, wrong.size, &options, NULL), DQNN_OK); /* it runs */
  CHECK_EQUAL(dqnn_self_test(it, &tests), DQNN_ERROR_SELF_TEST);
  blob_free(wrong);
  device_free(&d);
}

int main(int count, char **arguments) {
  const char *directory = count > 1 ? arguments[1] : "";
  old_file = blob_load(directory, "tested_old.dqnn");
  new_file = blob_load(directory, "tested_new.dqnn");
  lower_file = blob_load(directory, "tested_lower.dqnn");
  none_file = blob_load(directory, "tested_none.dqnn");
  test_config();
  test_life();
  test_rollback_of_a_trial();
  test_factory();
  test_order();
  test_sizes();
  test_refused_files(directory);
  test_downgrade();
  test_wear();
  test_full_journal();
  test_flash_that_fails();
  test_unreadable_journal();
  test_rotten_model();
  test_foreign_file();
  test_self_test(directory);
  blob_free(old_file);
  blob_free(new_file);
  blob_free(lower_file);
  blob_free(none_file);
  return test_failures;
}
