/* A test program is a list of functions: CHECK reports and counts, main returns the number of failures. */
#ifndef DQNN_TEST_H
#define DQNN_TEST_H

#include <stdio.h>

extern int test_failures;
extern const char *test_label; /* what is being tested, for messages; may be NULL */

#define CHECK(condition)                                                                        \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      ++test_failures;                                                                          \
      (void)printf("%s:%d: %s%s%s\n", __FILE__, __LINE__, test_label != NULL ? test_label : "", \
                   test_label != NULL ? ": " : "", #condition);                                 \
    }                                                                                           \
  } while (0)

#define CHECK_EQUAL(found, expected)                                                                                 \
  do {                                                                                                               \
    unsigned long test_found = (unsigned long)(found), test_expected = (unsigned long)(expected);                    \
    if (test_found != test_expected) {                                                                               \
      ++test_failures;                                                                                               \
      (void)printf("%s:%d: %s%s%s is %lu, not %s = %lu\n", __FILE__, __LINE__, test_label != NULL ? test_label : "", \
                   test_label != NULL ? ": " : "", #found, test_found, #expected, test_expected);                    \
    }                                                                                                                \
  } while (0)

#endif
