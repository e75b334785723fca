/* Random walks from sound files, without libFuzzer: `walk COUNT SEED FILE...` makes COUNT changed files in all
 * (change.h), each from one that ran before, and runs them. Says how many reached their kernels. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "safely.h"
#include "test.h"

enum { ROOM = 1 << 15, STEPS = 8 };

static _Alignas(16) uint8_t current[ROOM], changed[ROOM];
static blob trial = {changed, 0};

/* Leaves the file behind that brought the program down (ASAN_OPTIONS=abort_on_error=1 for what the sanitizers find). */
static void on_abort(int number) {
  (void)number;
  FILE *file = fopen("walk_failure.dqnn", "wb");
  if (file != NULL) {
    (void)fwrite(trial.bytes, 1, trial.size, file);
    (void)fclose(file);
    (void)fputs("see walk_failure.dqnn\n", stderr);
  }
}

typedef struct {
  unsigned long changed, accepted, invoked;
} tally;

static void walk(blob start, blob other, dice *random, tally *t) {
  blob here = {current, start.size};
  if (start.size > ROOM) {
    return;
  }
  memcpy(current, start.bytes, start.size);
  for (int i = 0; i < STEPS; ++i) {
    blob nothing = {NULL, 0};
    trial.size = change_file(here, dice_one_in(random, 8) ? other : nothing, changed, ROOM, random);
    if (trial.size == 0) {
      continue;
    }
    safely_result result = safely_run(trial, true);
    ++t->changed;
    t->accepted += result.accepted;
    t->invoked += result.invoked;
    if (result.invoked) {
      memcpy(current, changed, trial.size);
      here.size = trial.size;
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    (void)fprintf(stderr, "usage: walk COUNT SEED FILE...\n");
    return 2;
  }
  unsigned long count = strtoul(argv[1], NULL, 10);
  dice random = {(uint32_t)strtoul(argv[2], NULL, 10)};
  uint32_t files = (uint32_t)argc - 3;
  blob *blobs = calloc(files, sizeof *blobs);
  tally t = {0, 0, 0};
  (void)signal(SIGABRT, on_abort);
  for (uint32_t i = 0; blobs != NULL && i < files; ++i) {
    blobs[i] = blob_load("", argv[3 + i]);
  }
  for (unsigned long i = 0; blobs != NULL && i * STEPS < count; ++i) {
    walk(blobs[i % files], blobs[dice_below(&random, files)], &random, &t);
  }
  for (uint32_t i = 0; blobs != NULL && i < files; ++i) {
    blob_free(blobs[i]);
  }
  free(blobs);
  (void)printf("%lu changed files, %lu accepted, %lu of them run\n", t.changed, t.accepted, t.invoked);
  CHECK(t.accepted * 10 >= t.changed * 9 && t.invoked * 10 >= t.changed * 7);
  return test_failures != 0;
}
