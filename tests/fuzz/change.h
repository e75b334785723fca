/* Changes to a draft, for the structured fuzzer and for the walk through the seeds. Values stay in their type, but need
 * not fit together: mend (mend.h) sees to that. */
#ifndef DQNN_FUZZ_CHANGE_H
#define DQNN_FUZZ_CHANGE_H

#include "dice.h"
#include "draft.h"

/* One change, of anything: a parameter, a shape, a format, a kernel, constants, the graph, a name, the signature. */
void change(draft *d, dice *random);

/* Appends a node of `other`, which takes what was computed last. */
void change_append(draft *d, const draft *other, dice *random);

/* A file, read, changed once or several times, mended and written to out[room]; 0 if that came to nothing. `other`, a
 * second file, may be empty. */
uint32_t change_file(blob file, blob other, uint8_t *out, uint32_t room, dice *random);

#endif
