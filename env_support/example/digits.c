/* See digits.h: what a firmware does with a model, in one function. */
#include "digits.h"

#include "dqnn/dqnn.h"
#include "dqnn/dqnn_kernels.h"
#include "dqnn/dqnn_values.h"

enum { SIDE = 28 };

extern const dqnn_variant *const model_kernels[]; /* kernels.c */
extern const uint32_t model_kernels_count;

/* On a PC, whose pointers are longer, the interpreter's state needs some more than MODEL_MEMORY_BYTES. */
static _Alignas(16) uint8_t memory[MODEL_MEMORY_BYTES + (sizeof(void *) > 4 ? 256 : 0)];

static dqnn_interpreter *loaded(void) {
  static dqnn_interpreter *it;
  if (it == NULL) {
    const dqnn_options options = {.kernels = model_kernels, .kernel_count = model_kernels_count};
    (void)dqnn_init(&it, memory, sizeof memory, model, model_size, &options, NULL);
  }
  return it;
}

int digits_classify(const char *const picture[SIDE], float scores[MODEL_OUTPUT0_ELEMENTS]) {
  dqnn_interpreter *it = loaded();
  dqnn_tensor input, output;
  if (it == NULL || dqnn_input(it, 0, &input) != DQNN_OK || dqnn_output(it, 0, &output) != DQNN_OK) {
    return -1;
  }
  float *pixels = input.data;
  for (int i = 0; i < SIDE * SIDE; i++) {
    char ink = picture[i / SIDE][i % SIDE];
    pixels[i] = (float)(ink == ' ' ? 0 : ink - '0') / 4.5f - 1.0f;
  }
  dqnn_invoke(it);
  if (dqnn_tensor_load_f32(&output, scores, MODEL_OUTPUT0_ELEMENTS) != DQNN_OK) {
    return -1;
  }
  int best = 0;
  for (int i = 1; i < MODEL_OUTPUT0_ELEMENTS; i++) {
    best = scores[i] > scores[best] ? i : best;
  }
  return best;
}
