/* NOR flash that is strict and can lose its power. Erasing is by whole units, programming by whole units that were
 * erased and are not programmed twice: anything else ends the test program. Power fails in the middle of the operation
 * that was chosen: it is left torn, and control goes back to where the device was switched on. */
#ifndef DQNN_TEST_FLASH_H
#define DQNN_TEST_FLASH_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "dqnn/dqnn_store.h"

typedef struct {
  const char *name;
  uint32_t erase_bytes, program_bytes, slot_bytes, gap_bytes; /* the gap lies between the slots */
  uint8_t erased;
} geometry;

/* How far the interrupted operation got. */
typedef enum {
  TORN_NOT,      /* it had not begun */
  TORN_DONE,     /* it had just ended */
  TORN_HALF,     /* its first bytes */
  TORN_GRAINS,   /* some stretches of 32 bytes */
  TORN_BITS,     /* some of the bits that should change */
  TORN_UNSTABLE, /* likewise, and these read differently after each start until they are erased */
  TORN_MODES
} torn_mode;

enum { FLASH_MOST = 1 << 16 };

typedef struct {
  geometry geometry;
  uint8_t *bytes; /* of exactly the flash's size */
  uint32_t size;
  bool programmed[FLASH_MOST]; /* per byte: not since it was erased */
  uint8_t unstable[FLASH_MOST];
  bool is_unstable;    /* somewhere */
  uint32_t operations; /* so far */
  uint32_t cut;        /* the operation that power does not outlast; 0: none */
  torn_mode mode;
  uint32_t random;
  jmp_buf off;
  bool fails_erase, fails_program, fails_read, lies; /* defects: refusals; programming that does not take */
} flash;

void flash_make(flash *f, const geometry *g);
void flash_free(flash *f);

/* A copy of contents and state, and back. */
typedef struct flash_image flash_image;
flash_image *flash_save(const flash *f);
void flash_restore(flash *f, const flash_image *image);

/* Settles what is unstable anew: to be called whenever the device is switched on. */
void flash_power_on(flash *f);

dqnn_store_config flash_config(flash *f);

#endif
