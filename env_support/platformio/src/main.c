/* Recognizes the digit of picture.h. A debugger shows `digit`; printing is the board's own affair. */
#include "digits.h"
#include "picture.h"

volatile int digit;

int main(void) {
  float scores[MODEL_OUTPUT0_ELEMENTS];
  digit = digits_classify(picture, scores);
  for (;;) {
  }
}
