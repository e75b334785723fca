/* See flash.h. */
#include "flash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flash_image {
  uint8_t bytes[FLASH_MOST], unstable[FLASH_MOST];
  bool programmed[FLASH_MOST];
};

static void require(bool condition, const char *rule) {
  if (!condition) {
    (void)fprintf(stderr, "flash: %s\n", rule);
    abort();
  }
}

void flash_make(flash *f, const geometry *g) {
  void *bytes = NULL;
  memset(f, 0, sizeof *f);
  f->geometry = *g;
  f->size = 2 * g->slot_bytes + g->gap_bytes;
  require(f->size <= FLASH_MOST && posix_memalign(&bytes, DQNN_ALIGNMENT, f->size) == 0, "too large");
  f->bytes = bytes;
  f->random = 1;
  memset(f->bytes, g->erased, f->size);
}

void flash_free(flash *f) {
  free(f->bytes);
}

flash_image *flash_save(const flash *f) {
  flash_image *image = malloc(sizeof *image);
  require(image != NULL, "no memory");
  memcpy(image->bytes, f->bytes, f->size);
  memcpy(image->unstable, f->unstable, f->size);
  memcpy(image->programmed, f->programmed, f->size * sizeof(bool));
  return image;
}

void flash_restore(flash *f, const flash_image *image) {
  memcpy(f->bytes, image->bytes, f->size);
  memcpy(f->unstable, image->unstable, f->size);
  memcpy(f->programmed, image->programmed, f->size * sizeof(bool));
  f->operations = f->cut = 0;
  f->is_unstable = true; /* perhaps */
}

static uint8_t next_random(flash *f) {
  f->random = f->random * 1664525u + 1013904223u;
  return (uint8_t)(f->random >> 24);
}

void flash_power_on(flash *f) {
  bool any = false;
  for (uint32_t i = 0; f->is_unstable && i < f->size; ++i) {
    if (f->unstable[i] != 0) {
      f->bytes[i] = (uint8_t)((f->bytes[i] & ~f->unstable[i]) | (next_random(f) & f->unstable[i]));
      any = true;
    }
  }
  f->is_unstable = any;
}

/* Leaves bytes between what they were and what they should become. */
static void tear(flash *f, uint32_t offset, const uint8_t *target, uint32_t bytes) {
  bool taken = false;
  for (uint32_t i = 0; i < bytes; ++i) {
    if (i % 32 == 0) {
      taken = (next_random(f) & 1) != 0;
    }
    uint8_t *byte = &f->bytes[offset + i], changing = (uint8_t)(*byte ^ target[i]);
    switch (f->mode) {
      case TORN_DONE:
        *byte = target[i];
        break;
      case TORN_HALF:
        *byte = i < bytes / 2 ? target[i] : *byte;
        break;
      case TORN_GRAINS:
        *byte = taken ? target[i] : *byte;
        break;
      case TORN_BITS:
        *byte ^= (uint8_t)(changing & next_random(f));
        break;
      case TORN_UNSTABLE:
        f->unstable[offset + i] |= changing;
        f->is_unstable = true;
        break;
      default:
        break;
    }
  }
}

static bool power_fails(flash *f) {
  return ++f->operations == f->cut;
}

static bool on_erase(void *context, uint32_t offset) {
  flash *f = context;
  uint32_t bytes = f->geometry.erase_bytes;
  static uint8_t blank[FLASH_MOST];
  require(offset % bytes == 0 && offset + bytes <= f->size, "erase of no unit");
  if (f->fails_erase) {
    return false;
  }
  memset(blank, f->geometry.erased, bytes);
  if (power_fails(f)) {
    tear(f, offset, blank, bytes);
    for (uint32_t i = offset; i < offset + bytes; ++i) {
      f->programmed[i] = f->programmed[i] && f->bytes[i] != f->geometry.erased; /* as far as anybody can tell */
    }
    longjmp(f->off, 1);
  }
  memcpy(f->bytes + offset, blank, bytes);
  memset(f->unstable + offset, 0, bytes);
  memset(f->programmed + offset, 0, bytes * sizeof(bool));
  return true;
}

static void check_program(const flash *f, uint32_t offset, uint32_t bytes) {
  uint32_t unit = f->geometry.program_bytes;
  require(offset % unit == 0 && bytes % unit == 0 && bytes != 0 && bytes <= f->size && offset <= f->size - bytes,
          "program of no unit");
  for (uint32_t i = offset; i < offset + bytes; ++i) {
    require(!f->programmed[i], "programmed twice");
    require(f->bytes[i] == f->geometry.erased || f->unstable[i] != 0, "programmed before it was erased");
  }
}

/* Unit by unit, in order. */
static bool on_program(void *context, uint32_t offset, const void *data, uint32_t bytes) {
  flash *f = context;
  uint32_t unit = f->geometry.program_bytes;
  check_program(f, offset, bytes);
  if (f->fails_program) {
    return false;
  }
  for (uint32_t i = 0; i < bytes; i += unit) {
    const uint8_t *source = (const uint8_t *)data + i;
    if (power_fails(f)) {
      tear(f, offset + i, source, unit);
      longjmp(f->off, 1);
    }
    for (uint32_t k = i; k < i + unit; ++k) {
      f->bytes[offset + k] = (uint8_t)(((const uint8_t *)data)[k] ^ (f->lies && k == 0 ? 1 : 0));
      f->programmed[offset + k] = true;
      f->unstable[offset + k] = 0;
    }
  }
  return true;
}

static bool on_read(void *context, uint32_t offset, void *data, uint32_t bytes) {
  const flash *f = context;
  require(bytes <= f->size && offset <= f->size - bytes, "read outside");
  memcpy(data, f->bytes + offset, bytes);
  return !f->fails_read;
}

dqnn_store_config flash_config(flash *f) {
  return (dqnn_store_config){
      .context = f,
      .base = f->bytes,
      .slot_offset = {0, f->geometry.slot_bytes + f->geometry.gap_bytes},
      .slot_bytes = f->geometry.slot_bytes,
      .erase_bytes = f->geometry.erase_bytes,
      .program_bytes = f->geometry.program_bytes,
      .erased = f->geometry.erased,
      .erase = on_erase,
      .program = on_program,
      .read = on_read,
  };
}
