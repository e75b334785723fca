/* Runs files, in every variant: `replay [--every-variant] FILE...`. A file that is refused or not run is an error; with
 * the option also a variant that this machine could run and none of the files made run: seeds that test `ref` against
 * itself are of no use. Names the instruction sets that were compiled and that this processor lacks. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "blob.h"
#include "dqnn/dqnn_kernels.h"
#include "kernel.h"
#include "safely.h"
#include "test.h"

static void on_abort(int number) {
  (void)number;
  (void)printf("%s brought this program down\n", test_label);
}

static void run_file(const char *name) {
  blob b = blob_load("", name);
  test_label = name;
  safely_result result = safely_run_patiently(b);
  CHECK(result.accepted);
  CHECK(result.invoked);
  blob_free(b);
}

static void check_variants(void) {
  uint32_t isas = safely_isas(), skipped = 0;
  for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
    const dqnn_variant *variant = dqnn_all_kernels[i];
    if ((isas >> variant->isa & 1u) == 0) {
      skipped |= 1u << variant->isa;
    } else if (safely_runs(i) == 0) {
      ++test_failures;
      (void)printf("%s %s: no file makes it run\n", dqnn_kernel_name(variant->id), dqnn_isa_name(variant->isa));
    }
  }
  for (uint32_t isa = 0; isa < DQNN_ISA_NUMBER; ++isa) {
    if ((skipped >> isa & 1u) != 0) {
      (void)printf("skipped, this processor lacks it: %s\n", dqnn_isa_name(isa));
    }
  }
}

int main(int argc, char **argv) {
  int first = argc > 1 && strcmp(argv[1], "--every-variant") == 0 ? 2 : 1;
  (void)signal(SIGABRT, on_abort);
  for (int i = first; i < argc; ++i) {
    run_file(argv[i]);
  }
  if (first == 2) {
    check_variants();
  }
  (void)printf("%d files\n", argc - first);
  return test_failures != 0;
}
