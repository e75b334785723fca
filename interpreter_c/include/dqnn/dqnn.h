/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Public API of the dqnn interpreter.
 *
 * A .dqnn file is used where it lies (flash, mmap) and is never copied or written. The caller gives one block of memory
 * for activations and state. dqnn_init checks everything once; after it succeeds dqnn_invoke cannot fail and touches
 * nothing but that block. There are no globals: any number of interpreters may run at once, on any threads, also on the
 * same file. One interpreter must not be used by two threads at the same time. All sizes are in bytes unless said
 * otherwise.
 *
 * Same bits everywhere asks for the usual floating-point environment in dqnn_init and dqnn_invoke: round to nearest,
 * denormals kept (FZ of FPSCR, FTZ and DAZ of MXCSR are 0), no traps. Another one gives other numbers, no other memory.
 * Stack: at most 1 KB on a Cortex-M at -Os and -O2, 100 bytes more for files with segments (dqnn_verify of such files 2
 * KB more: it has no state for their table); kernels for AVX2 and NEON take up to 40 KB. */
#ifndef DQNN_H
#define DQNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dqnn_config.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DQNN_VERSION_MAJOR 0
#define DQNN_VERSION_MINOR 1
#define DQNN_VERSION_PATCH 0
#define DQNN_VERSION (DQNN_VERSION_MAJOR << 16 | DQNN_VERSION_MINOR << 8 | DQNN_VERSION_PATCH)
#define DQNN_FORMAT_VERSION 1u  /* newest file format this runtime reads */
#define DQNN_RUNTIME_VERSION 2u /* compared with a file's lowest runtime version */

#define DQNN_ALIGNMENT 16u    /* of the file and of the memory block */
#define DQNN_NONE 0xFFFFu     /* "no such node, kernel or tensor" in reports */
#define DQNN_PREFIX_BYTES 64u /* schema/SPEC.md section 1: what can be read of a file without this library */

/* Grouped: 0x1. the caller, 0x2. the file, 0x3. this firmware; 0x4. a request on a link (dqnn_link.h), 0x5. the slots
 * for models (dqnn_store.h). */
typedef enum {
  DQNN_OK = 0,
  DQNN_ERROR_ARGUMENT = 0x10,  /* NULL, or an index out of range */
  DQNN_ERROR_ALIGNMENT = 0x11, /* file or memory not 16-byte aligned */
  DQNN_ERROR_MEMORY = 0x12,    /* memory smaller than dqnn_requirements.memory_bytes */
  DQNN_ERROR_TRUNCATED = 0x20, /* fewer bytes than the prefix says, or than a prefix */
  DQNN_ERROR_MAGIC = 0x21,     /* not a .dqnn file */
  DQNN_ERROR_CHECKSUM = 0x22,
  DQNN_ERROR_STRUCTURE = 0x23,       /* prefix or FlatBuffer offsets or sizes out of bounds */
  DQNN_ERROR_TENSOR = 0x24,          /* a tensor's type, shape, quantization or place in the arena */
  DQNN_ERROR_GRAPH = 0x25,           /* order of nodes, indices, overlap of live memory */
  DQNN_ERROR_KERNEL_SHAPE = 0x26,    /* a kernel's plan refused shapes or types */
  DQNN_ERROR_KERNEL_PARAM = 0x27,    /* ... parameters */
  DQNN_ERROR_KERNEL_CONSTANT = 0x28, /* ... size or content of constants */
  DQNN_ERROR_SIGNATURE = 0x29,       /* the signature hook refused the file */
  DQNN_ERROR_WORK = 0x2A,            /* checking it would take more steps than dqnn_options.work_limit */
  DQNN_ERROR_FORMAT_VERSION = 0x30,  /* file format newer than this firmware */
  DQNN_ERROR_RUNTIME_VERSION = 0x31, /* file needs a newer runtime than this firmware */
  DQNN_ERROR_KERNEL_MISSING = 0x32,  /* a kernel the file needs is not in the kernel set; where fault.check is not 0, it
                                        is, but in no variant that the mask and the file's scratch allow */
  DQNN_ERROR_SEGMENTS = 0x33,        /* nodes run for some rows at a time, and dqnn_options.segments is NULL; where
                                        fault.check is not 0, it is not &dqnn_fed_strips, and the input is fed by rows */
  DQNN_ERROR_UNSUPPORTED = 0x40,     /* a request that this device does not know or cannot do */
  DQNN_ERROR_RANGE = 0x41,           /* an index, offset or length of a request */
  DQNN_ERROR_NO_MODEL = 0x42,        /* no model is loaded */
  DQNN_ERROR_NO_INPUT = 0x43,        /* an input was not written since the last run that used it up, or not fed whole */
  DQNN_ERROR_SLOT_SIZE = 0x50,       /* the file is larger than a slot */
  DQNN_ERROR_SLOT_ORDER = 0x51,      /* not now: a step before it is missing, or an unconfirmed model runs */
  DQNN_ERROR_SLOT_FLASH = 0x52,      /* the flash did not take what was written */
  DQNN_ERROR_SLOT_DOWNGRADE = 0x53,  /* the model's version is lower than that of the confirmed one */
  DQNN_ERROR_SLOT_WORN = 0x54,       /* the slot was erased as often as is allowed */
  DQNN_ERROR_SLOT_NO_OTHER = 0x55,   /* there is no other model to go back to */
  DQNN_ERROR_SELF_TEST = 0x56        /* the model's outputs differ from those that its file expects */
} dqnn_status;

typedef enum { DQNN_S1 = 0, DQNN_S8 = 1, DQNN_F32 = 2 } dqnn_dtype;

/* How real values become codes of an s8 input: schema/SPEC.md section 2. */
typedef enum { DQNN_ROUNDING_MULTIPLY = 0, DQNN_ROUNDING_DIVIDE_EVEN = 1, DQNN_ROUNDING_DIVIDE_AWAY = 2 } dqnn_rounding;

/* Instruction sets a variant can be written for: bit `number` of dqnn_options.isa_mask and dqnn_host_isas. `portable`
 * is written once over the primitives of isa/, which use the instructions of the core that they are compiled for; so
 * are `winograd`, for files that give its convolutions more scratch than any other variant asks for, and `packed`, for
 * convolutions whose weights have 4 or 2 bits. `neon` is for every 64-bit Arm, `dotprod` for those of them with SDOT.
 */
#define DQNN_ISAS(X) \
  X(ref, 0)          \
  X(portable, 1) X(winograd, 2) X(mve, 3) X(avx2, 4) X(avx512, 5) X(packed, 6) X(vnni, 7) X(neon, 8) X(dotprod, 9)
#define DQNN_ISA_ENUMERATOR(name, number) DQNN_ISA_##name = (number),
typedef enum { DQNN_ISAS(DQNN_ISA_ENUMERATOR) DQNN_ISA_NUMBER } dqnn_isa;
#undef DQNN_ISA_ENUMERATOR

/* One implementation of one kernel; dqnn_kernels.h declares them all. */
typedef struct dqnn_variant dqnn_variant;

/* What runs files whose nodes make some rows at a time (schema/SPEC.md section 5): optional, as kernels are. Of these
 * files dqnn_fed_strips takes those, too, whose input is fed by rows (dqnn_feed): for applications that do so. */
typedef struct dqnn_segments dqnn_segments;
extern const dqnn_segments dqnn_strips, dqnn_fed_strips;

/* Opaque; lives in the caller's memory, needs no destruction. */
typedef struct dqnn_interpreter dqnn_interpreter;

/* Called before and after each node, and each part of a node that runs for some rows at a time. `kernel` is the id in
 * kernels.def. Must not call back into this interpreter except for dqnn_node, dqnn_tensor_at and dqnn_rows_made. */
typedef void (*dqnn_profile_fn)(void *context, uint32_t node, uint16_t kernel, bool begin);

/* Called once per load after both checksums held and before anything of the payload is interpreted. `file` is the whole
 * signed part, `signature` (NULL and 0 for an unsigned file) what follows it. Returns true to accept.
 * Accepted are these bytes at this moment: invoke reads them again, so that who can change the flash they lie in after
 * the call is trusted as well. What comes with the call (options, kernels, memory) no signature covers. */
typedef bool (*dqnn_signature_fn)(void *context, const void *file, size_t file_bytes, const void *signature,
                                  size_t signature_bytes);

/* The CRC-32 of `bytes` bytes as dqnn_crc32 gives it, by hardware that has a unit for it. Called once per load, for the
 * payload: `data` is 16-byte aligned, `bytes` what the file says, a multiple of 4 in every file that dqnn exports. */
typedef uint32_t (*dqnn_checksum_fn)(void *context, const void *data, uint32_t bytes);

enum {
  /* For files whose payload a boot loader has already checked: skips the payload's CRC (not the prefix's). All other
   * checks are made, so that memory stays safe even if the payload is corrupt. */
  DQNN_FLAG_SKIP_PAYLOAD_CHECKSUM = 1
};

/* Fields that are 0 or NULL take their default. Only read during the call, but for profile and its context. */
typedef struct {
  const dqnn_variant *const *kernels; /* required: the kernel set, e.g. dqnn_all_kernels */
  uint32_t kernel_count;              /* number of pointers in it */
  uint32_t isa_mask;           /* instruction sets that may be used; 0: dqnn_host_isas(). `ref` is always allowed. Other
                                  bits are taken at their word: without the instructions, dqnn_invoke traps */
  uint32_t flags;              /* DQNN_FLAG_* */
  dqnn_profile_fn profile;     /* NULL: none */
  void *profile_context;       /* passed to profile */
  dqnn_signature_fn signature; /* NULL: signatures are ignored */
  void *signature_context;     /* passed to signature */
  uint32_t work_limit;         /* most steps that checking the file may take; 0: DQNN_WORK_PER_BYTE (dqnn_config.h) for
                                  each of its bytes */
  dqnn_checksum_fn checksum;   /* NULL: dqnn_crc32 */
  void *checksum_context;      /* passed to checksum */
  void *state;        /* NULL: the state lies behind the arena. Else where it lies, aligned as a pointer is. mem is
                         then the arena alone, which other interpreters may use, too: see dqnn_init */
  size_t state_bytes; /* available at state, at least dqnn_requirements.state_bytes */
  const dqnn_segments
      *segments; /* &dqnn_strips or &dqnn_fed_strips; NULL: files with segments are refused (SEGMENTS) */
} dqnn_options;

/* What was wrong, filled on every failure of dqnn_verify and dqnn_init. DQNN_NONE where it does not apply. */
typedef struct {
  uint16_t node;   /* index in execution order */
  uint16_t kernel; /* id of that node's kernel */
  uint16_t tensor; /* index of a tensor (of a constant or port for the checks named so) */
  uint16_t check;  /* which check failed, see dqnn_check_name; 0: the status says it all */
} dqnn_fault;

typedef struct {
  uint32_t memory_bytes; /* what dqnn_init needs: arena_bytes + state_bytes, unless options.state is used */
  uint32_t arena_bytes;  /* activations, inputs, outputs and scratch */
  uint32_t state_bytes;  /* the interpreter itself */
  uint32_t nodes, tensors, inputs, outputs;
} dqnn_requirements;

/* An activation: a model input, a model output or an inner tensor. */
typedef struct {
  void *data;         /* in the arena, 16-byte aligned; valid as long as the interpreter's memory */
  uint32_t bytes;     /* size of data; for s1 whole 32-bit words per row, see schema/SPEC.md section 2 */
  uint32_t dims[4];   /* elements, outermost first, no batch dimension; dims beyond rank are 1 */
  float scale;        /* s8: real value = scale * (stored - zero_point); else 1 */
  int32_t zero_point; /* s8 only, else 0 */
  uint8_t dtype;      /* dqnn_dtype */
  uint8_t rank;       /* 1..4 */
  const char *name;   /* in the file; "" if it has none */
  float sample_scale; /* not 0: an input of raw uint8 samples u, to be stored as (int8_t)(u ^ 0x80); the model takes
                         them for sample_scale * u + sample_offset */
  float sample_offset;
  float inverse;    /* of an s8 input with rounding MULTIPLY, not 0: what real values are multiplied by */
  uint8_t rounding; /* dqnn_rounding, of an s8 input: how whoever fills it makes codes of real values */
  uint8_t u8;       /* 1: an s8 port whose users know uint8 codes u, stored as (int8_t)(u ^ 0x80) */
} dqnn_tensor;

typedef struct {
  const char *layer;      /* source layers, comma separated, in the file; "" if unnamed */
  const uint16_t *inputs; /* tensor indices, in the file */
  uint32_t input_count;
  uint32_t output;         /* tensor index */
  uint32_t scratch_offset; /* into the arena */
  uint32_t scratch_bytes;
  uint16_t kernel; /* id in kernels.def */
  uint8_t isa;     /* dqnn_isa of the variant that was chosen */
} dqnn_node_info;

typedef struct {
  const void *file;
  const char *name, *producer; /* in the file; "" if it has none */
  uint8_t *arena;              /* 16-byte aligned, the first arena_bytes of the memory block */
  uint32_t arena_bytes;
  uint32_t state_bytes; /* directly behind the arena, unless options.state said where */
  uint32_t file_bytes;
  uint32_t model_id; /* as chosen at export */
  uint16_t model_version;
  uint32_t nodes, tensors, inputs, outputs;
} dqnn_model_info;

/* Size of memory that `blob` needs. It reads the whole file for its checksum, as dqnn_init does again; a guess that
 * trusts the file is 4 bytes at offset 20 of the prefix, the arena's (schema/SPEC.md section 1).
 * blob: the file, 16-byte aligned; size: bytes available there, at least the file's length (more is ignored).
 * Checks length, versions, both checksums and the FlatBuffer structure, so that the answer can be trusted, but not the
 * graph: dqnn_init may still refuse the file. Needs no memory.
 * Returns DQNN_OK or ARGUMENT, ALIGNMENT, TRUNCATED, MAGIC, CHECKSUM, STRUCTURE, FORMAT_VERSION, RUNTIME_VERSION. */
dqnn_status dqnn_requirements_of(const void *blob, size_t size, dqnn_requirements *out);

/* Makes all checks of dqnn_init without needing memory: DQNN_OK means that dqnn_init with the same options and enough
 * memory succeeds. fault may be NULL. Returns as dqnn_init, but never MEMORY. */
dqnn_status dqnn_verify(const void *blob, size_t size, const dqnn_options *options, dqnn_fault *fault);

/* Checks the file completely and makes an interpreter for it.
 * it: receives the handle, NULL on failure. It is valid as long as mem and blob are left alone.
 * mem, bytes: 16-byte aligned, at least dqnn_requirements.memory_bytes; contents need not be initialised and are
 *   unspecified after a failure. The arena is zeroed on success. A static array of bytes will do: compilers let bytes
 *   stand for anything. By the letter of the standard memory without a declared type (a heap, a linker's section) is
 *   better, as floats and words are stored there.
 *   With options.state, mem is the arena alone: at least arena_bytes, and any number of interpreters, each with a state
 *   of its own, may be given the same, as long as they are used one after the other: from the first write to an input
 *   to the last read of an output. dqnn_init counts as use: it zeroes the arena.
 * blob, size: as for dqnn_requirements_of; must stay readable and unchanged while the interpreter is in use: offsets
 *   are checked here and only here, so that memory is safe only as long as nobody writes to the file.
 * options: required, for its kernel set. fault: NULL, or receives what was wrong.
 * Time: a checksum of every byte, then checks that read constants up to a few times and count against work_limit.
 * Returns DQNN_OK or any error status. */
dqnn_status dqnn_init(dqnn_interpreter **it, void *mem, size_t bytes, const void *blob, size_t size,
                      const dqnn_options *options, dqnn_fault *fault);

/* Input or output number i, in the order of the model. Write inputs before every dqnn_invoke: their memory is reused
 * during it. Outputs hold until the next write to an input or the next dqnn_invoke.
 * Returns DQNN_OK or ARGUMENT (NULL, or i out of range). */
dqnn_status dqnn_input(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out);
dqnn_status dqnn_output(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out);

/* Runs the model once. Any input bytes are safe; s1 inputs with non-zero tail bits and NaNs give unspecified results.
 * Returns DQNN_OK, ARGUMENT if it is NULL, or NO_INPUT if rows are still to be fed (nothing has run then). */
dqnn_status dqnn_invoke(dqnn_interpreter *it);

/* Inputs that are fed by rows, of files exported with --feed-rows: memory holds a strip of the input, and the model's
 * first layers run while a camera still delivers.
 *
 *   for (dqnn_feed(it, &rows); rows.dims[0] != 0; dqnn_feed(it, &rows)) {
 *     camera_read(rows.data, rows.dims[0]);    as many rows, or fewer
 *     dqnn_fed(it, rows.dims[0]);              runs what these rows allow
 *   }
 *   dqnn_invoke(it);                           runs the rest, then the outputs are there
 *
 * Outputs hold until the next dqnn_fed. Between the first dqnn_fed and the end of dqnn_invoke the arena is in use: no
 * other interpreter may have it. What runs does not depend on how many rows come at a time.
 * dqnn_feed: `rows` becomes a tensor of the rows that come next: where they go, and as dims[0] how many may be written
 *   there before dqnn_fed, 0 once all are fed; everything else as dqnn_input says. A row lies at a multiple of its own
 *   size from a multiple of 16; the place is valid until dqnn_fed, which moves rows.
 * dqnn_fed: so many rows were written there.
 * dqnn_feed_rows: both, for rows that lie elsewhere, one behind the other: any number that the frame still needs.
 * dqnn_feed_anew: forgets what was fed since the last dqnn_invoke, of a frame that was lost.
 * Of such a model dqnn_input gives dims of the whole input, but data and bytes of the strip: nothing is to be written
 * there otherwise.
 * Return DQNN_OK, or ARGUMENT: NULL, a model that is not fed, or more rows than there is room for (nothing has run). */
dqnn_status dqnn_feed(dqnn_interpreter *it, dqnn_tensor *rows);
dqnn_status dqnn_fed(dqnn_interpreter *it, uint32_t rows);
dqnn_status dqnn_feed_rows(dqnn_interpreter *it, const void *rows, uint32_t count);
dqnn_status dqnn_feed_anew(dqnn_interpreter *it);

/* Runs the file's self-tests: inputs that the exporter stored with the outputs that every device must give, byte for
 * byte. Inputs and outputs are then those of the last one. tests: NULL, or receives how many there are, 0 for most
 * files. Returns DQNN_OK, SELF_TEST, STRUCTURE if the tests themselves are malformed, or ARGUMENT. */
dqnn_status dqnn_self_test(dqnn_interpreter *it, uint32_t *tests);

/* For tools. The model as a whole; node i in execution order; tensor i by index, nameless, whose data is meaningful
 * only between the node that writes it and the next that reuses the memory (the profile hook runs at such moments).
 * Return DQNN_OK or ARGUMENT. */
dqnn_status dqnn_model_of(const dqnn_interpreter *it, dqnn_model_info *out);
dqnn_status dqnn_node(const dqnn_interpreter *it, uint32_t i, dqnn_node_info *out);
dqnn_status dqnn_tensor_at(const dqnn_interpreter *it, uint32_t i, dqnn_tensor *out);

/* For tools, in the profile hook at the end of node i: what it has just made, all of its output, or the rows from
 * *first on if it runs for some rows at a time. `out` is then a tensor of these rows alone. Of a tensor of which memory
 * holds some rows (strips, schema/SPEC.md section 5) dqnn_tensor_at gives the bytes of these, but dims of the whole.
 * Returns DQNN_OK or ARGUMENT. */
dqnn_status dqnn_rows_made(const dqnn_interpreter *it, uint32_t i, uint32_t *first, dqnn_tensor *out);

/* DQNN_VERSION of the header that the library was compiled with: another one than yours means that structs may differ.
 */
uint32_t dqnn_version(void);

/* CRC-32 (IEEE 802.3, as zlib), the checksum of files: 4 instructions per byte of a Cortex-M4 where data is 4-byte
 * aligned, else 40. */
uint32_t dqnn_crc32(const void *data, uint32_t bytes);

/* The instruction sets that this library was compiled with and this processor can execute. */
uint32_t dqnn_host_isas(void);

/* Names, for messages: the strings are linked only if one of these is called. Never NULL; "unknown" for other values.
 * dqnn_status_str gives a sentence, dqnn_status_name and the others an identifier as in the enums, e.g. "kernel_shape",
 * "input_dtype", "mve", "conv_s1_s1_s8"; dqnn_check_str says what must hold. */
const char *dqnn_status_str(dqnn_status status);
const char *dqnn_status_name(dqnn_status status);
const char *dqnn_check_str(uint32_t check);
const char *dqnn_check_name(uint32_t check);
const char *dqnn_isa_name(uint32_t isa);
const char *dqnn_kernel_name(uint32_t kernel);

#ifdef __cplusplus
}
#endif
#endif
