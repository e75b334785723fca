/* Every single-byte change of a file, to twelve values each, with the old checksums (must be refused) and with new ones
 * (may be accepted, and is then run): `sweep STEP DATA_STEP FILE...`. Only every STEP-th byte is changed, in Model.data
 * (weights) every DATA_STEP-th. Prints what happened. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "blob.h"
#include "safely.h"
#include "test.h"

typedef struct {
  unsigned long trials, accepted, invoked;
} tally;

static blob current;

/* Leaves the file behind that brought the program down (ASAN_OPTIONS=abort_on_error=1 for what the sanitizers find). */
static void on_abort(int number) {
  (void)number;
  FILE *file = fopen("sweep_failure.dqnn", "wb");
  if (file != NULL) {
    (void)fwrite(current.bytes, 1, current.size, file);
    (void)fclose(file);
    (void)fputs("see sweep_failure.dqnn\n", stderr);
  }
}

static void try_value(blob b, uint32_t at, uint8_t value, uint32_t covered, tally *t) {
  uint8_t old = b.bytes[at];
  if (value == old) {
    return;
  }
  dqnn_prefix prefix = *blob_prefix(b);
  b.bytes[at] = value;
  CHECK(!safely_run(b, false).accepted || at >= covered);
  blob_seal(b);
  safely_result result = safely_run(b, true);
  ++t->trials;
  t->accepted += result.accepted;
  t->invoked += result.invoked;
  b.bytes[at] = old;
  *blob_prefix(b) = prefix;
}

static void sweep(blob b, uint32_t step, uint32_t data_step, tally *t) {
  dqnn_model model = blob_model(b);
  uint32_t data = (uint32_t)(model.data - b.bytes), data_end = data + model.data_bytes;
  uint32_t covered = model.prefix->signature_offset != 0 ? model.prefix->signature_offset : b.size;
  for (uint32_t at = 0; at < b.size; ++at) {
    if (at % (at >= data && at < data_end ? data_step : step) != 0) {
      continue;
    }
    uint8_t old = b.bytes[at];
    const uint8_t others[] = {0, 0xFF, (uint8_t)(old + 1), (uint8_t)(old - 1)};
    for (uint32_t bit = 0; bit < 8; ++bit) {
      try_value(b, at, old ^ (uint8_t)(1u << bit), covered, t);
    }
    for (uint32_t i = 0; i < sizeof others; ++i) {
      try_value(b, at, others[i], covered, t);
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    (void)fprintf(stderr, "usage: sweep STEP DATA_STEP FILE...\n");
    return 2;
  }
  uint32_t step = (uint32_t)strtoul(argv[1], NULL, 10), data_step = (uint32_t)strtoul(argv[2], NULL, 10);
  tally all = {0, 0, 0};
  (void)signal(SIGABRT, on_abort);
  for (int i = 3; i < argc; ++i) {
    blob b = blob_load("", argv[i]);
    tally t = {0, 0, 0};
    current = b;
    test_label = argv[i];
    CHECK(safely_run_patiently(b).invoked);
    sweep(b, step, data_step, &t);
    (void)printf("%s: %lu trials, %lu accepted with new checksums, %lu of them run\n", argv[i], t.trials, t.accepted,
                 t.invoked);
    CHECK(t.accepted > 0 && t.invoked > 0);
    all = (tally){all.trials + t.trials, all.accepted + t.accepted, all.invoked + t.invoked};
    blob_free(b);
  }
  /* Weights, names and many numbers are free: a sweep that seldom reaches a kernel has tested little. */
  test_label = "all files";
  CHECK(all.accepted * 10 >= all.trials && all.invoked * 10 >= all.accepted * 9);
  return test_failures != 0;
}
