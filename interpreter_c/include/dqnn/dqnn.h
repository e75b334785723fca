/* Public API of the dqnn interpreter. */
#ifndef DQNN_H
#define DQNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DQNN_VERSION_MAJOR 0
#define DQNN_VERSION_MINOR 1
#define DQNN_VERSION_PATCH 0
#define DQNN_FORMAT_VERSION 1u  /* newest file format this runtime reads */
#define DQNN_RUNTIME_VERSION 1u /* compared with a file's lowest runtime version */

/* Grouped: 0x1. the caller, 0x2. the file, 0x3. this firmware. */
typedef enum {
  DQNN_OK = 0,
  DQNN_ERROR_ARGUMENT = 0x10,      /* NULL, or an index out of range */
  DQNN_ERROR_ALIGNMENT = 0x11,     /* file or memory not 16-byte aligned */
  DQNN_ERROR_MEMORY = 0x12,        /* memory smaller than dqnn_requirements.memory_bytes */
  DQNN_ERROR_TRUNCATED = 0x20,     /* fewer bytes than the prefix says, or than a prefix */
  DQNN_ERROR_MAGIC = 0x21,         /* not a .dqnn file */
  DQNN_ERROR_CHECKSUM = 0x22,
  DQNN_ERROR_STRUCTURE = 0x23,     /* FlatBuffer offsets or sizes out of bounds */
  DQNN_ERROR_TENSOR = 0x24,        /* a tensor's type, shape, quantization or place in the arena */
  DQNN_ERROR_GRAPH = 0x25,         /* order of nodes, indices, overlap of live memory */
  DQNN_ERROR_KERNEL_SHAPE = 0x26,  /* a kernel's plan refused shapes or types */
  DQNN_ERROR_KERNEL_PARAM = 0x27,  /* ... parameters */
  DQNN_ERROR_KERNEL_CONSTANT = 0x28, /* ... size or content of constants */
  DQNN_ERROR_SIGNATURE = 0x29,     /* the signature hook refused the file */
  DQNN_ERROR_FORMAT_VERSION = 0x30, /* file format newer than this firmware */
  DQNN_ERROR_RUNTIME_VERSION = 0x31,
  DQNN_ERROR_KERNEL_MISSING = 0x32 /* a kernel the file needs is not in the kernel set */
} dqnn_status;

#ifdef __cplusplus
}
#endif
#endif
