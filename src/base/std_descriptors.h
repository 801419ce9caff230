/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors 0, 1 and 2 of a program that was started with some of them closed. */
#ifndef LITHOS_STD_DESCRIPTORS_H
#define LITHOS_STD_DESCRIPTORS_H

/*
 * Opens /dev/null where one of them is closed: else the next file or socket gets the number, and
 * messages for people are written into it. First thing in main(). 0 or -errno.
 */
int std_descriptors_open(void);

#endif
