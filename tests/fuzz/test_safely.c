/* Does safely.c see what it is there for? Kernels that misbehave, each in a process of its own, which must not survive.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dqnn/dqnn_kernels.h"
#include "safely.h"
#include "stubs.h" /* ids of the kernels of floats.dqnn */
#include "test.h"

enum { MOST = 200 };

enum { NEED = 16 }; /* of scratch, says the plan of the kernel that misbehaves */

static dqnn_run_fn softmax; /* ref's: its node reads 32 bytes, writes 32 and has 32 of scratch */
static dqnn_plan_fn plan_softmax;
static const uint8_t *others; /* constants that another node has */
static volatile uint8_t sink;

static uint8_t *behind(const void *at) {
  return (uint8_t *)(uintptr_t)at + 32;
}
static void good(const dqnn_call *call) {
  memset(call->scratch, 0x55, NEED);
  softmax(call);
}
static void wrong(const dqnn_call *call) {
  softmax(call);
  *(uint8_t *)call->out ^= 1;
}
static void depends_on_scratch(const dqnn_call *call) {
  softmax(call);
  *(uint8_t *)call->out ^= *(uint8_t *)call->scratch;
}
static void writes_behind_output(const dqnn_call *call) {
  softmax(call);
  *behind(call->out) = 0;
}
static void reads_behind_input(const dqnn_call *call) {
  softmax(call);
  sink = *behind(behind(call->in[0])); /* its output lies between */
}
static void writes_behind_scratch(const dqnn_call *call) {
  softmax(call);
  *behind(call->scratch) += 1; /* the interpreter's state */
}
static void takes_more_scratch_than_it_asked_for(const dqnn_call *call) {
  softmax(call);
  ((uint8_t *)call->scratch)[NEED] = 0; /* another variant's need made the file give it */
}
static void reads_constants_of_others(const dqnn_call *call) {
  softmax(call);
  sink = *others;
}

typedef struct {
  const char *name;
  dqnn_run_fn run;
  bool survives, seen_without_sanitizer;
} misdeed;

static const misdeed misdeeds[] = {
    {"good", good, true, true},
    {"wrong", wrong, false, true},
    {"depends on scratch", depends_on_scratch, false, true},
    {"writes behind its output", writes_behind_output, false, false},
    {"reads behind its input", reads_behind_input, false, false},
    {"writes behind its scratch", writes_behind_scratch, false, true},
    {"takes more scratch than it asked for", takes_more_scratch_than_it_asked_for, false, false},
    {"reads others' constants", reads_constants_of_others, false, false},
};

static dqnn_check plan(const dqnn_call *call, dqnn_plan *result) {
  dqnn_check check = plan_softmax(call, result);
  result->scratch[DQNN_ISA_portable] = NEED;
  return check;
}

/* ref for all kernels, and a variant of softmax before its ref. */
static void use(dqnn_run_fn run) {
  static dqnn_variant variant;
  static const dqnn_variant *set[MOST];
  uint32_t count = 1;
  for (uint32_t i = 0; i < dqnn_all_kernel_count; ++i) {
    if (dqnn_all_kernels[i]->isa == DQNN_ISA_ref) {
      set[count++] = dqnn_all_kernels[i];
    }
    if (dqnn_all_kernels[i]->isa == DQNN_ISA_ref && dqnn_all_kernels[i]->id == STUB_SOFTMAX) {
      variant = *dqnn_all_kernels[i];
    }
  }
  softmax = variant.run;
  plan_softmax = variant.plan;
  variant.plan = plan;
  variant.run = run;
  variant.isa = DQNN_ISA_portable;
  set[0] = &variant;
  safely_use(set, count);
}

static bool survives(blob file, dqnn_run_fn run) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    if (freopen("/dev/null", "w", stderr) == NULL) {
      _exit(2);
    }
    use(run);
    _exit(safely_run_patiently(file).invoked ? 0 : 3);
  }
  (void)waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
  blob file = blob_load(argc > 1 ? argv[1] : ".", "floats.dqnn");
  others = blob_model(file).data;
  for (size_t i = 0; i < sizeof misdeeds / sizeof misdeeds[0]; ++i) {
    test_label = misdeeds[i].name;
    if (misdeeds[i].seen_without_sanitizer || safely_guards()) {
      CHECK(survives(file, misdeeds[i].run) == misdeeds[i].survives);
    } else {
      (void)printf("skipped without AddressSanitizer: %s\n", misdeeds[i].name);
    }
  }
  blob_free(file);
  return test_failures != 0;
}
