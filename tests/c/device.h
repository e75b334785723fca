/* A device with a store on a desk: flash, memory, and what its firmware does with them. */
#ifndef DQNN_TEST_DEVICE_H
#define DQNN_TEST_DEVICE_H

#include "blob.h"
#include "flash.h"

enum { DEVICE_MEMORY = 1024 };

typedef struct {
  flash flash;
  dqnn_store_config config;
  dqnn_store store;
  dqnn_options options;
  uint8_t *memory; /* DEVICE_MEMORY bytes, of which an interpreter gets as many as it needs */
  dqnn_interpreter *it;
  dqnn_status status;
  dqnn_fault fault;
} device;

void device_make(device *d, const geometry *g);
void device_free(device *d);

/* Switches it on: takes over the flash and starts what is due; `it` and `status` tell what came of it. */
void device_on(device *d);

/* Starts what is due after an upload or a rollback. */
void device_start(device *d);

/* Id of the running model, 0 if there is none; aborts if it is not complete: it has to pass its own tests. */
uint32_t device_runs(const device *d);

/* The whole way of an upload up to and with verify; stops at the first that is refused. */
dqnn_status device_upload(device *d, blob file, uint32_t block);

#endif
