/* Recognizes the digit of picture.h and prints it. */
#include <stdio.h>

#include "digits.h"
#include "picture.h"

void app_main(void) {
  float scores[MODEL_OUTPUT0_ELEMENTS];
  printf("It is a %d\n", digits_classify(picture, scores));
}
