/* SPDX-License-Identifier: Apache-2.0, dqnn 0.1.0 */
/* Frames on a byte stream: COBS, so that a zero byte ends a frame and occurs nowhere in it, around a content whose last
 * four bytes are its CRC-32. What is damaged is dropped here and nobody else sees it. */
#ifndef DQNN_FRAMES_H
#define DQNN_FRAMES_H

#include "dqnn/dqnn_link.h"

/* Takes one received byte. True: the frame buffer holds a whole content, its checksum included, of link->in.bytes
 * bytes, until the next call. */
bool dqnn_frames_take(dqnn_link *link, uint8_t byte);

/* Sends the first `bytes` of the frame buffer, with their checksum, for which there must be room behind them. */
void dqnn_frames_send(const dqnn_link *link, uint32_t bytes);

#endif
