/* See device.h. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dqnn/dqnn_kernels.h"

void device_make(device *d, const geometry *g) {
  void *memory = NULL;
  memset(&d->store, 0, sizeof d->store);
  flash_make(&d->flash, g);
  d->config = flash_config(&d->flash);
  d->options = (dqnn_options){.kernels = dqnn_all_kernels, .kernel_count = dqnn_all_kernel_count};
  if (posix_memalign(&memory, DQNN_ALIGNMENT, DEVICE_MEMORY) != 0) {
    abort();
  }
  d->memory = memory;
  d->it = NULL;
}

void device_free(device *d) {
  flash_free(&d->flash);
  free(d->memory);
}

void device_start(device *d) {
  d->status = dqnn_store_start(&d->store, &d->it, d->memory, DEVICE_MEMORY, &d->options, &d->fault);
}

void device_on(device *d) {
  flash_power_on(&d->flash);
  memset(d->memory, 0xA5, DEVICE_MEMORY);
  memset(&d->store, 0xA5, sizeof d->store);
  if (dqnn_store_open(&d->store, &d->config) != DQNN_OK) {
    abort();
  }
  device_start(d);
}

uint32_t device_runs(const device *d) {
  dqnn_model_info info;
  dqnn_requirements need;
  if (d->it == NULL) {
    return 0;
  }
  if (dqnn_model_of(d->it, &info) != DQNN_OK || dqnn_self_test(d->it, NULL) != DQNN_OK ||
      dqnn_requirements_of(info.file, info.file_bytes, &need) != DQNN_OK) {
    (void)fprintf(stderr, "an incomplete model runs\n");
    abort();
  }
  return info.model_id;
}

dqnn_status device_upload(device *d, blob file, uint32_t block) {
  dqnn_status status = dqnn_store_begin(&d->store, file.size);
  for (uint32_t at = 0; at < file.size && status == DQNN_OK; at += block) {
    uint32_t bytes = file.size - at < block ? file.size - at : block;
    status = dqnn_store_block(&d->store, at, file.bytes + at, bytes);
  }
  if (status == DQNN_OK) {
    d->it = NULL;
    status = dqnn_store_verify(&d->store, d->memory, DEVICE_MEMORY, &d->options, &d->fault);
  }
  return status;
}
