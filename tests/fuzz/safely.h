/* Runs a file the way firmware would, and asks of everything that the API promises: sizes, verification, every
 * description and name, signatures, flags, kernel sets; then every variant that this machine can run, whose output must
 * be ref's, byte for byte. Shared by the fuzz targets, the byte sweep and the other drivers.
 *
 * While a kernel runs, AddressSanitizer guards everything but the tensors and the constants of its node and the scratch
 * that its variant asked for: the rest of the arena, of the file's data, and all memory around them. */
#ifndef DQNN_FUZZ_SAFELY_H
#define DQNN_FUZZ_SAFELY_H

#include <stdbool.h>

#include "blob.h"

typedef struct {
  bool accepted; /* by dqnn_init, or would have been with more memory */
  bool invoked;
} safely_result;

/* Files that want more than SAFELY_MEMORY bytes, or more than about SAFELY_WORK inner steps, are checked but not run;
 * of one file in SAFELY_PATIENCE more steps are taken, so that large parameters meet the kernels too. Which ones the
 * file's bytes decide: the same file is always treated alike. */
#ifndef SAFELY_MEMORY
#define SAFELY_MEMORY (UINT32_C(1) << 22)
#endif
enum { SAFELY_PATIENCE = 256 };
#define SAFELY_WORK 6.0e4
#define SAFELY_MUCH_WORK 4.0e6
#define SAFELY_ANY_WORK 1.0e8

/* Aborts with a message if the API contradicts itself or variants differ. */
safely_result safely_run(blob file, bool invoke);

/* For files that are known to be good: takes up to SAFELY_ANY_WORK steps. */
safely_result safely_run_patiently(blob file);

/* Instruction sets that were compiled and that this processor has, as in dqnn_options.isa_mask. */
uint32_t safely_isas(void);

/* Whether AddressSanitizer is there to guard. */
bool safely_guards(void);

/* How many nodes variant number i of dqnn_all_kernels has computed so far. */
uint32_t safely_runs(uint32_t variant);

/* Another kernel set than dqnn_all_kernels, for tests of this very file. Before the first run. */
void safely_use(const dqnn_variant *const *kernels, uint32_t count);

#endif
