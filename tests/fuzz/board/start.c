/* What stands between a board's startup code and a test program written for a host: its arguments, newlib's files
 * through semihosting, and a crash that is reported. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "board.h"
#include "semihosting.h"

enum { LINE = 1 << 16, ARGUMENTS = 4096 };

int test_main(int argc, char **argv);
void initialise_monitor_handles(void);
int posix_memalign(void **memory, size_t alignment, size_t bytes);
void _init(void);
void _fini(void);

int run(void) {
  static char line[LINE];
  static char *arguments[ARGUMENTS];
  int count = 0;
  initialise_monitor_handles();
  if (!host_command_line(line, sizeof line)) {
    return 2;
  }
  for (char *at = line; *at != 0 && count < ARGUMENTS;) {
    arguments[count++] = at;
    while (*at != 0 && *at != ' ') {
      ++at;
    }
    while (*at == ' ') {
      *at++ = 0;
    }
  }
  int status = test_main(count, arguments);
  (void)fflush(NULL);
  return status;
}

_Noreturn void run_crashed(uint32_t exception, uint32_t pc, uint32_t cause, uint32_t address) {
  (void)printf("crashed: exception %lu at %08lx, cause %08lx, address %08lx\n", (unsigned long)exception,
               (unsigned long)pc, (unsigned long)cause, (unsigned long)address);
  host_exit(3);
}

/* newlib has another function for it. */
int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory == NULL;
}

/* newlib's exit() wants them. */
void _init(void) {
}
void _fini(void) {
}
