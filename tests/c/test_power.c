/* Power fails at every flash operation of everything the store does, torn in every way of flash.h, on several
 * geometries; then again at every operation of the start that follows, and somewhere in the next upload. After each cut
 * the device must start, with a model that is complete (its own tests pass) and is one that the moment allows; without
 * a confirmation the new one must be gone after another start; and the next upload must come in.
 *
 *   test_power DIRECTORY [SEEDS]      more seeds tear more differently
 */
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "test.h"

enum { OLD = 0x1005, NEW = 0x1006, NONE = 0x1007, BLOCK = 256 };

static const geometry geometries[] = {
    {"STM32F4-like: large units, byte programs", 16384, 1, 16384, 0, 0xFF},
    {"STM32F4-like: words, a unit between the slots", 2048, 4, 4096, 2048, 0xFF},
    {"STM32L4-like: 2 KiB pages, double words once", 2048, 8, 4096, 0, 0xFF},
    {"STM32U5-like: 16-byte programs, a large unit", 8192, 16, 8192, 0, 0xFF},
    {"STM32H7-like: 32-byte programs", 4096, 32, 4096, 0, 0xFF},
    {"RP2040-like: 4 KiB sectors", 4096, 16, 8192, 4096, 0xFF},
    {"nRF-like: small pages, the journal spans two", 256, 4, 3072, 256, 0xFF},
    {"erased reads as zero", 1024, 8, 4096, 0, 0x00},
};

static device d;
static blob old_file, new_file, none_file;
static uint32_t cuts, starts;

/* What may run if power fails now: bits of these. */
enum { MAY_OLD = 1, MAY_NEW = 2 };
static volatile uint32_t allowed;
static volatile bool may_stay; /* the new one: its confirmation has at least begun */

static void must(bool condition, const char *what) {
  if (!condition) {
    test_label = what;
    CHECK(condition);
    test_label = NULL;
  }
}

/* ---- what a device does ---- */

static void update(blob file) {
  must(device_upload(&d, file, BLOCK) == DQNN_OK, "upload");
  allowed |= MAY_NEW;
  must(dqnn_store_activate(&d.store) == DQNN_OK, "activate");
  device_start(&d);
  must(d.status == DQNN_OK, "start after activate");
}

static void confirm(void) {
  must(dqnn_store_confirm(&d.store, d.it) == DQNN_OK, "confirm");
}

static void update_and_confirm(void) {
  update(new_file);
  may_stay = true;
  confirm();
  allowed = MAY_NEW;
}

static void update_and_restart(void) {
  update(new_file);
  device_on(&d);
  must(device_runs(&d) == OLD, "an unconfirmed model is gone");
  allowed = MAY_OLD;
}

static void update_and_roll_back(void) {
  update(new_file);
  must(dqnn_store_rollback(&d.store) == DQNN_OK, "rollback");
  device_start(&d);
  must(device_runs(&d) == OLD, "rolled back");
  allowed = MAY_OLD;
}

static void roll_back_for_good(void) {
  may_stay = true;
  allowed = MAY_OLD | MAY_NEW;
  must(dqnn_store_rollback(&d.store) == DQNN_OK, "rollback");
  device_start(&d);
  must(device_runs(&d) == OLD, "rolled back");
  allowed = MAY_OLD;
}

static void refused_upload(void) {
  blob broken = new_file;
  broken.size -= 16;
  must(device_upload(&d, broken, BLOCK) == DQNN_ERROR_TRUNCATED, "a truncated file is refused");
  device_start(&d);
}

/* Of a model that was rejected before: while its slot is erased it must not come back. */
static void upload_over_a_rejected_one(void) {
  must(device_upload(&d, none_file, BLOCK) == DQNN_OK, "upload");
}

static void three_updates(void) {
  update_and_restart();
  update_and_roll_back();
  update_and_confirm();
}

/* ---- where each begins ---- */

static void with_old(void) {
  must(device_upload(&d, old_file, BLOCK) == DQNN_OK && dqnn_store_activate(&d.store) == DQNN_OK, "old");
  device_start(&d);
  confirm();
}

static void with_both(void) {
  with_old();
  update(new_file);
  confirm();
}

static void with_a_rejected_one(void) {
  with_old();
  update(new_file);
  device_on(&d);
}

static void with_factory(void) {
  d.config.factory = old_file.bytes;
  d.config.factory_bytes = old_file.size;
  device_on(&d);
}

static const struct {
  const char *name;
  void (*prepare)(void);
  void (*act)(void);
  uint32_t first; /* allowed at its beginning */
} scenarios[] = {
    {"update, confirm", with_old, update_and_confirm, MAY_OLD},
    {"update, restart", with_old, update_and_restart, MAY_OLD},
    {"update, roll back", with_old, update_and_roll_back, MAY_OLD},
    {"roll back for good", with_both, roll_back_for_good, MAY_NEW},
    {"refused upload", with_old, refused_upload, MAY_OLD},
    {"upload over a rejected model", with_a_rejected_one, upload_over_a_rejected_one, MAY_OLD},
    {"first update of the factory's model", with_factory, update_and_confirm, MAY_OLD},
    {"first update, restart", with_factory, update_and_restart, MAY_OLD},
    {"three updates", with_old, three_updates, MAY_OLD},
};

/* ---- power ---- */

/* Runs an action until it ends or power fails at its operation `cut`: true if power failed. Nothing of the device but
 * its flash survives that. */
static bool power_fails_in(void (*action)(void), uint32_t cut, torn_mode mode) {
  d.flash.operations = 0;
  d.flash.cut = cut;
  d.flash.mode = mode;
  if (setjmp(d.flash.off) != 0) {
    d.flash.cut = 0;
    ++cuts;
    return true;
  }
  action();
  d.flash.cut = 0;
  return false;
}

static void switch_on(void) {
  device_on(&d);
}

static void install_another(void) {
  must(device_upload(&d, none_file, BLOCK) == DQNN_OK, "the next upload");
  must(dqnn_store_activate(&d.store) == DQNN_OK, "its activation");
  device_start(&d);
  must(device_runs(&d) == NONE, "it runs");
  confirm();
}

/* After a cut: starts, and is as it should be. Bits that read differently at each start may show a record now and not
 * then; every other flash has settled after two starts. False if the first start has no operation `cut_again`. */
static bool check_recovery(torn_mode mode, uint32_t cut_again) {
  if (cut_again != 0 && !power_fails_in(switch_on, cut_again, mode)) {
    return false;
  }
  uint32_t id = 0;
  for (uint32_t start = 1; start <= 3; ++start) {
    uint32_t before = id;
    switch_on();
    ++starts;
    id = device_runs(&d);
    must((id == OLD && (allowed & MAY_OLD) != 0) || (id == NEW && (allowed & MAY_NEW) != 0), "complete and allowed");
    must(start < 3 || id == before || mode == TORN_UNSTABLE, "settled after two starts");
    must(start < 2 || id == OLD || may_stay || mode == TORN_UNSTABLE || (allowed & MAY_OLD) == 0,
         "an unconfirmed model is gone");
  }
  return true;
}

/* Power fails again, in the upload after the recovery; then the next one comes in for good. */
static void check_next_upload(uint32_t cut, torn_mode mode) {
  uint32_t before = device_runs(&d);
  dqnn_slot_info slots[2];
  for (uint32_t i = 0; i < 2; ++i) {
    dqnn_store_slot(&d.store, i, &slots[i]);
  }
  if (slots[0].state == DQNN_SLOT_TRIAL || slots[1].state == DQNN_SLOT_TRIAL) { /* only with unstable bits */
    must(mode == TORN_UNSTABLE, "a trial after three starts");
    confirm();
  }
  if (power_fails_in(install_another, cut, mode)) {
    switch_on();
    ++starts;
    uint32_t id = device_runs(&d);
    must(id == before || id == NONE || mode == TORN_UNSTABLE, "complete after a second cut");
    must(id != 0, "a model runs");
    switch_on();
    for (uint32_t i = 0; i < 2; ++i) {
      dqnn_store_slot(&d.store, i, &slots[i]);
    }
    if (slots[0].state == DQNN_SLOT_TRIAL || slots[1].state == DQNN_SLOT_TRIAL) {
      must(mode == TORN_UNSTABLE, "a trial after two starts");
      confirm();
    }
    install_another();
  }
  switch_on();
  must(device_runs(&d) == NONE, "the next upload is there to stay");
}

/* False if there is no such second cut. */
static bool run_case(const flash_image *image, uint32_t scenario, uint32_t cut, torn_mode mode, uint32_t again) {
  flash_restore(&d.flash, image);
  d.flash.random = cut * 2654435761u + again * 40503u + mode;
  device_on(&d);
  allowed = scenarios[scenario].first;
  may_stay = false;
  if (!power_fails_in(scenarios[scenario].act, cut, mode)) {
    must(false, "an operation that is not there");
    return false;
  }
  if (!check_recovery(mode, again)) {
    --cuts; /* the first cut was looked at before */
    return false;
  }
  if (again == 0) {
    check_next_upload(1 + cut * 7919 % 40, mode);
  }
  return true;
}

static uint32_t operations_of(const flash_image *image, uint32_t scenario) {
  flash_restore(&d.flash, image);
  device_on(&d);
  allowed = scenarios[scenario].first;
  (void)power_fails_in(scenarios[scenario].act, 0, TORN_NOT);
  return d.flash.operations;
}

static void run_scenario(uint32_t scenario) {
  d.config.factory = NULL;
  memset(d.flash.bytes, d.flash.geometry.erased, d.flash.size);
  memset(d.flash.programmed, 0, sizeof d.flash.programmed);
  memset(d.flash.unstable, 0, sizeof d.flash.unstable);
  device_on(&d);
  scenarios[scenario].prepare();
  flash_image *image = flash_save(&d.flash);
  uint32_t operations = operations_of(image, scenario);
  /* Bytes of a file that are programmed one by one are alike: of many, some. */
  uint32_t step = operations > 200 ? operations / 50 : 1;
  for (uint32_t cut = 1; cut <= operations; cut += cut < 40 || cut + 70 > operations ? 1 : step) {
    for (torn_mode mode = TORN_NOT; mode < TORN_MODES; ++mode) {
      for (uint32_t again = 0; run_case(image, scenario, cut, mode, again); ++again) {
      }
    }
  }
  free(image);
}

int main(int count, char **arguments) {
  const char *directory = count > 1 ? arguments[1] : "";
  old_file = blob_load(directory, "tested_old.dqnn");
  new_file = blob_load(directory, "tested_new.dqnn");
  none_file = blob_load(directory, "tested_none.dqnn");
  for (uint32_t g = 0; g < sizeof geometries / sizeof geometries[0]; ++g) {
    device_make(&d, &geometries[g]);
    for (uint32_t s = 0; s < sizeof scenarios / sizeof scenarios[0]; ++s) {
      int before = test_failures;
      run_scenario(s);
      if (test_failures != before) {
        (void)printf("%s: %s: %d failures\n", geometries[g].name, scenarios[s].name, test_failures - before);
      }
    }
    device_free(&d);
  }
  (void)printf("%u power cuts, %u starts after them, %d failures\n", cuts, starts, test_failures);
  CHECK(cuts > 100000);
  blob_free(old_file);
  blob_free(new_file);
  blob_free(none_file);
  return test_failures != 0;
}
