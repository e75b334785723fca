/* The example of all recipes: recognizes a digit with the model of model.c. */
#ifndef DIGITS_H
#define DIGITS_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The digit in a picture of 28 rows with 28 characters each, blank for nothing and 1 to 9 for ink; `scores` receives
 * how likely each digit is. -1 if the model does not load. */
int digits_classify(const char *const picture[28], float scores[MODEL_OUTPUT0_ELEMENTS]);

#ifdef __cplusplus
}
#endif
#endif
